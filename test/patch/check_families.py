"""Logits of merged checkpoints, and of bases with exported adapters, by transformers and peft in float32.

python check_families.py JOBS   JOBS: JSON list of {base, merged, adapter, ids, logits}, `logits` a file of float32
[len(ids), vocabulary]. Prints a JSON list of {merged, adapter, effect}: largest differences from `logits`, and of the
base's logits from them.
"""

import json
import sys

import numpy as np
import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM


@torch.no_grad()
def check(job):
    ids = torch.tensor([job["ids"]])

    def load(folder):
        return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()

    def difference(model):
        logits = model(ids).logits[0].numpy()
        return float(np.abs(logits - np.fromfile(job["logits"], np.float32).reshape(logits.shape)).max())

    base = load(job["base"])
    return {
        "effect": difference(base),
        "merged": difference(load(job["merged"])),
        "adapter": difference(PeftModel.from_pretrained(base, job["adapter"]).eval()),
    }


print(json.dumps([check(job) for job in json.loads(sys.argv[1])]))
