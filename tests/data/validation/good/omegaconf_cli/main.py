from omegaconf import OmegaConf

base = OmegaConf.create({"lr": 0.01, "steps": 10})
conf = OmegaConf.merge(base, OmegaConf.from_cli())
print(OmegaConf.to_yaml(conf))
