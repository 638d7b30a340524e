"""What transformers and peft compute from exported folders, in float32: fixtures/exports.json and .safetensors.

CCA_PYTHON=python npx vitest run test/patch/exports.test.ts exports the folders anew, calls this, and compares.

python make_exports.py JOBS   JOBS: JSON list of {name, base, merged, adapter, ids}; the folders are a checkpoint, its merged
checkpoint and its peft adapter. Needs what fixtures/requirements.txt names. Of each job is kept: the SHA-256 of every
file that was read; the tensors whose bytes differ from the base's; logits [rows, vocabulary] at the positions `rows`.
"""

import hashlib
import json
import sys
from pathlib import Path

import peft
import torch
import transformers
from safetensors import safe_open

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "fixtures"))
from store import write_oracle  # noqa: E402

ROWS = [12, 24, 36, 49]


def hashes(folder: Path):
    names = [p.name for p in folder.iterdir() if p.name == "config.json" or "safetensors" in p.name or "adapter" in p.name]
    return {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in sorted(names)}


def tensors(folder: Path):
    for path in sorted(folder.glob("*.safetensors")):
        with safe_open(path, "pt") as file:
            yield from ((name, file.get_tensor(name).view(torch.uint8)) for name in file.keys())


@torch.no_grad()
def job(base, merged, adapter, ids, **_):
    before, after = dict(tensors(Path(base))), dict(tensors(Path(merged)))
    assert before.keys() == after.keys()

    def load(folder):
        return transformers.AutoModelForCausalLM.from_pretrained(
            folder, dtype=torch.float32, attn_implementation="eager"
        ).eval()

    def logits(model):
        return model(torch.tensor([ids])).logits[0, ROWS].clone()

    return {
        "ids": ids,
        "rows": ROWS,
        "sha256": {"merged": hashes(Path(merged)), "adapter": hashes(Path(adapter))},
        "changed": sorted(name for name in before if not torch.equal(before[name], after[name])),
        "merged": logits(load(merged)),
        "adapter": logits(peft.PeftModel.from_pretrained(load(base), adapter).eval()),
    }


versions = {"torch": torch.__version__, "transformers": transformers.__version__, "peft": peft.__version__}
exports = {each["name"]: job(**each) for each in json.loads(sys.argv[1])}
write_oracle(HERE / "fixtures", "exports", {"versions": versions, **exports})
