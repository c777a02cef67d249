from dataclasses import dataclass, field
from typing import List, Literal, Optional

from transformers import HfArgumentParser, set_seed


@dataclass
class Arguments:
    data_url: str = field(metadata={"help": "data"})
    output_path: str = "out"
    num_epochs: int = 1
    use_amp: bool = False
    schedule: Literal["linear", "cosine"] = "linear"
    layers: List[int] = field(default_factory=lambda: [64, 64])
    resume: Optional[str] = None


def main():
    (args,) = HfArgumentParser(Arguments).parse_args_into_dataclasses()
    set_seed(0)
    print(args)


if __name__ == "__main__":
    main()
