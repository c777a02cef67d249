import time

from options.train_options import TrainOptions
from models import create_model

if __name__ == "__main__":
    opt = TrainOptions().parse()
    model = create_model(opt)
    for epoch in range(opt.n_epochs):
        start = time.time()
        print("End of epoch %d / %d \t Time Taken: %d sec" % (epoch, opt.n_epochs, time.time() - start))
