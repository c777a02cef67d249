import os
from argparse import ArgumentDefaultsHelpFormatter, ArgumentParser
from functools import lru_cache

import librosa
import soundfile as sf
import torch
import torchaudio
import torchaudio.transforms as T


class Keywords(torch.utils.data.Dataset):
    def __init__(self, folder, n_mels):
        self.files = sorted(os.path.join(d, f) for d, _, fs in os.walk(folder) for f in fs if f.endswith(".wav"))
        self.features = torch.nn.Sequential(T.MelSpectrogram(16_000, n_mels=n_mels), T.AmplitudeToDB())

    @lru_cache(maxsize=None)
    def __getitem__(self, index):
        wave, rate = sf.read(self.files[index], dtype="float32")
        return self.features(torch.from_numpy(librosa.resample(wave, orig_sr=rate, target_sr=16_000)))


def build():
    ap = ArgumentParser(formatter_class=ArgumentDefaultsHelpFormatter)
    ap.add_argument("--speech_dir", required=True)
    ap.add_argument("--n_mels", type=int, default=40)
    ap.add_argument("--output_path", default=".")
    ap.set_defaults(device="cuda" if torch.cuda.is_available() else "cpu")
    return ap


if __name__ == "__main__":
    ns = build().parse_args()
    print(len(Keywords(ns.speech_dir, ns.n_mels).files), torchaudio.__version__)
