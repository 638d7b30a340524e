"""Compares a merged checkpoint with base + exported adapter, both loaded by transformers and peft, in float32.

python check_peft.py BASE MERGED ADAPTER   prints one JSON object: max_difference (logits), effect (base to merged)
"""

import json
import sys

import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM


@torch.no_grad()
def main(base, merged, adapter):
    def load(folder):
        return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()

    torch.manual_seed(0)
    plain = load(base)
    ids = torch.randint(0, plain.config.vocab_size, (3, 40))
    before = plain(ids).logits
    after = load(merged)(ids).logits
    adapted = PeftModel.from_pretrained(plain, adapter).eval()
    difference = (adapted(ids).logits - after).abs().max().item()
    print(json.dumps({"max_difference": difference, "effect": (after - before).abs().max().item(),
                      "modules": len(adapted.peft_config["default"].target_modules)}))


main(*sys.argv[1:])
