"""低秩微调：数据为 {"instruction": ..., "output": ...} 的 JSONL。"""
from __future__ import annotations

import argparse
import json
from pathlib import Path

import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM, AutoTokenizer, DataCollatorForSeq2Seq, Trainer, TrainingArguments

PROMPT = "### 指令：\n{instruction}\n\n### 回答：\n"


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(allow_abbrev=False)
    required = parser.add_argument_group("required")
    required.add_argument("--base_model", required=True)
    required.add_argument("--data_path", type=Path, required=True)
    parser.add_argument("--output_path", type=Path, default=Path("out"))
    parser.add_argument("--lora_rank", type=int, default=8)
    parser.add_argument("--learning_rate", type=float, default=2e-4)
    parser.add_argument("--bf16", type=lambda text: text.lower() == "true", default=False)
    parser.add_argument("--target_modules", nargs="*", default=["q_proj", "v_proj"])
    return parser.parse_args()


def rows(folder: Path):
    for file in sorted(folder.glob("*.jsonl")):
        with file.open(encoding="utf-8") as lines:
            yield from map(json.loads, lines)


def main() -> None:
    args = arguments()
    tokenizer = AutoTokenizer.from_pretrained(args.base_model, trust_remote_code=False)
    model = AutoModelForCausalLM.from_pretrained(args.base_model, torch_dtype=torch.float32)
    model = get_peft_model(model, LoraConfig(r=args.lora_rank, target_modules=args.target_modules))
    data = [tokenizer(PROMPT.format(**row) + row["output"]) for row in rows(args.data_path)]
    settings = TrainingArguments(output_dir=str(args.output_path), learning_rate=args.learning_rate, bf16=args.bf16)
    Trainer(model, settings, data_collator=DataCollatorForSeq2Seq(tokenizer), train_dataset=data).train()
    model.save_pretrained(args.output_path)


if __name__ == "__main__":
    main()
