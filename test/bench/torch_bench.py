"""The PyTorch side of the speed benchmark. Needs torch alone; prints one JSON line per case.

    python test/bench/torch_bench.py [--cases mask,mask_cached,rows,shared,decode] [--repeats 3] [--threads 1]

The model is a Llama with random weights: 12 layers x 768, 12 query and 4 key/value heads of 64, F 2,048, vocabulary 32,000, head
not tied (125M parameters, 100M without the embedding). Sizes can be changed by flags, to try the script quickly.

    mask         one mask step as the reference takes it: whole prefixes forward and backward (8 x 900 tokens), a gate on every
                 q/k/v head and MLP neuron of the last position, logits at every position, weights frozen
    mask_cached  the same gradient with what precedes the last position cached: one position per prefix. The cache is built
                 once, outside the timing
    rows         one row-gradient step, 8 x 256 tokens: q/k/v/up_proj trainable, selected rows read off the whole gradients
    shared       the same for 8 x 750 tokens (a 600-token prompt shared by all, then 150 each), nothing shared: what a
                 user of PyTorch runs
    decode       greedy decoding with a preallocated K/V cache, 64 tokens after a 64-token prompt, batch 1, 8 and 32

Attention is torch's scaled_dot_product_attention and RMSNorm torch's own (--attention fused): the faster choice in each
case. --attention eager writes both out as transformers' eager models do, which those of the paper (Gemma 2, OLMo 2) are.
"""

from __future__ import annotations

import argparse
import json
import math
import resource
import statistics
import sys
import time
from dataclasses import dataclass

import torch
import torch.nn.functional as F


@dataclass(frozen=True)
class Shape:
    layers: int = 12
    hidden: int = 768
    heads: int = 12
    kv_heads: int = 4
    head_dim: int = 64
    ffn: int = 2048
    vocab: int = 32000
    eps: float = 1e-5
    rope_theta: float = 10000.0


class Cache:
    """Preallocated keys and values [B, kv_heads, room, head_dim] of every layer; `length` positions are filled."""

    def __init__(self, shape: Shape, batch: int, room: int):
        size = (shape.layers, batch, shape.kv_heads, room, shape.head_dim)
        self.k, self.v, self.length = torch.zeros(size), torch.zeros(size), 0


def eager_attention(q, k, v, causal: bool) -> torch.Tensor:
    """q [B, heads, T, d], k and v [B, kv_heads, S, d]; scores, mask, softmax and products one after another."""
    groups = q.shape[1] // k.shape[1]
    k, v = (x.repeat_interleave(groups, 1) for x in (k, v))
    scores = q @ k.transpose(2, 3) / math.sqrt(q.shape[-1])
    if causal:
        hidden = torch.full(scores.shape[-2:], float("-inf")).triu(1)
        scores = scores + hidden
    return F.softmax(scores, -1) @ v


def eager_norm(x, size, weight, eps: float) -> torch.Tensor:
    return weight * (x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + eps))


class Llama:
    """Weights by short name, [out, in] as in Hugging Face files."""

    def __init__(self, shape: Shape, seed: int, attention: str = "fused"):
        self.shape = s = shape
        self.eager = attention == "eager"
        gen = torch.Generator().manual_seed(seed)
        sizes = {
            "q": (s.heads * s.head_dim, s.hidden),
            "k": (s.kv_heads * s.head_dim, s.hidden),
            "v": (s.kv_heads * s.head_dim, s.hidden),
            "o": (s.hidden, s.heads * s.head_dim),
            "gate": (s.ffn, s.hidden),
            "up": (s.ffn, s.hidden),
            "down": (s.hidden, s.ffn),
        }
        self.layers = [
            {name: torch.randn(size, generator=gen) / math.sqrt(size[1]) for name, size in sizes.items()}
            | {"norm1": torch.ones(s.hidden), "norm2": torch.ones(s.hidden)}
            for _ in range(s.layers)
        ]
        self.embed, self.head = (torch.randn(s.vocab, s.hidden, generator=gen) * 0.05 for _ in range(2))
        self.norm = torch.ones(s.hidden)

    def rope(self, start: int, count: int) -> tuple[torch.Tensor, torch.Tensor]:
        d = self.shape.head_dim
        freqs = self.shape.rope_theta ** (-torch.arange(0, d, 2).float() / d)
        angle = torch.arange(start, start + count).float()[:, None] * freqs
        angle = torch.cat((angle, angle), -1)
        return angle.cos(), angle.sin()

    def body(self, ids: torch.Tensor, cache: Cache | None = None, masks=None) -> torch.Tensor:
        """Hidden states [B, T, hidden] after the last norm. `masks`: q, k, v, mlp -> [layers, units], at the last position.
        With a cache the T positions follow what it holds, and are added to it unless masks are given."""
        s, (batch, count) = self.shape, ids.shape
        start = cache.length if cache else 0
        cos, sin = self.rope(start, count)

        def rotate(x):
            a, b = x.chunk(2, -1)
            return x * cos + torch.cat((-b, a), -1) * sin

        def gate(x, kind, layer):  # x [B, T, units, size]
            if masks is None:
                return x
            last = x[:, -1:] * (2 * masks[kind][layer])[:, None]
            return last if count == 1 else torch.cat((x[:, :-1], last), 1)

        norm = eager_norm if self.eager else F.rms_norm
        x = F.embedding(ids, self.embed)
        for i, w in enumerate(self.layers):
            h = norm(x, (s.hidden,), w["norm1"], s.eps)
            q, k, v = (
                gate(F.linear(h, w[kind]).view(batch, count, -1, s.head_dim), kind, i).transpose(1, 2) for kind in "qkv"
            )
            q, k = rotate(q), rotate(k)
            if cache and masks is None:
                cache.k[i][:, :, start : start + count], cache.v[i][:, :, start : start + count] = k, v
                k, v = cache.k[i][:, :, : start + count], cache.v[i][:, :, : start + count]
            elif cache:
                k, v = (torch.cat((old[i][:, :, :start], new), 2) for old, new in ((cache.k, k), (cache.v, v)))
            if self.eager:
                a = eager_attention(q, k, v, count > 1)
            else:
                a = F.scaled_dot_product_attention(q, k, v, is_causal=count > 1, enable_gqa=True)
            x = x + F.linear(a.transpose(1, 2).reshape(batch, count, -1), w["o"])
            h = norm(x, (s.hidden,), w["norm2"], s.eps)
            h = F.silu(F.linear(h, w["gate"])) * F.linear(h, w["up"])
            x = x + F.linear(gate(h[..., None], "mlp", i)[..., 0], w["down"])
        if cache and masks is None:
            cache.length += count
        return norm(x, (s.hidden,), self.norm, s.eps)

    def logits(self, hidden: torch.Tensor) -> torch.Tensor:
        return F.linear(hidden, self.head)


def pair_loss(logits: torch.Tensor, desired: torch.Tensor, undesired: torch.Tensor) -> torch.Tensor:
    """-mean(logit[desired] - logit[undesired]); logits [B, V] of the last positions."""
    row = torch.arange(len(logits))
    return -(logits[row, desired] - logits[row, undesired]).mean()


def draw(shape: Shape, batch: int, count: int):
    gen = torch.Generator().manual_seed(batch * count)
    ids = torch.randint(shape.vocab, (batch, count), generator=gen)
    desired, undesired = torch.randint(shape.vocab, (2, batch), generator=gen)
    return ids, desired, undesired


def new_masks(s: Shape) -> dict[str, torch.Tensor]:
    units = {"q": s.heads, "k": s.kv_heads, "v": s.kv_heads, "mlp": s.ffn}
    return {kind: torch.ones(s.layers, n, requires_grad=True) for kind, n in units.items()}


def measure(step, repeats: int, warmup: int) -> list[float]:
    times = []
    for i in range(warmup + repeats):
        begin = time.perf_counter()
        step()
        if i >= warmup:
            times.append(time.perf_counter() - begin)
    return times


def report(case: str, times: list[float], **fields) -> None:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)  # bytes
    line = {
        "case": case,
        **fields,
        "median_s": round(statistics.median(times), 5),
        "seconds": [round(t, 5) for t in times],
        "process_peak_gib": round(peak / 2**30, 2),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
    }
    print(json.dumps(line), flush=True)


def bench_mask(model: Llama, args) -> None:
    ids, desired, undesired = draw(model.shape, args.batch, args.mask_tokens)
    masks = new_masks(model.shape)

    def step():
        total = [torch.zeros_like(m) for m in masks.values()]
        for part in torch.arange(args.batch).split(args.micro_batch or args.batch):
            hidden = model.body(ids[part], masks=masks)
            logits = model.logits(hidden)[:, -1] if args.logits == "all" else model.logits(hidden[:, -1])
            loss = pair_loss(logits, desired[part], undesired[part]) * (len(part) / args.batch)
            for t, g in zip(total, torch.autograd.grad(loss, list(masks.values()))):
                t += g

    times = measure(step, args.repeats, 0)
    report("mask", times, batch=args.batch, tokens=args.mask_tokens, logits=args.logits, micro_batch=args.micro_batch, attention=args.attention)


def bench_mask_cached(model: Llama, args) -> None:
    ids, desired, undesired = draw(model.shape, args.batch, args.mask_tokens)
    masks, cache = new_masks(model.shape), Cache(model.shape, args.batch, args.mask_tokens)
    with torch.no_grad():
        model.body(ids[:, :-1], cache)

    def step():
        logits = model.logits(model.body(ids[:, -1:], cache, masks)[:, 0])
        torch.autograd.grad(pair_loss(logits, desired, undesired), list(masks.values()))

    times = measure(step, args.repeats, 1)
    report("mask_cached", times, batch=args.batch, tokens=args.mask_tokens)


def bench_rows(model: Llama, args, case: str, tokens: int) -> None:
    ids, desired, undesired = draw(model.shape, args.batch, tokens)
    if case == "shared":
        ids[:, : tokens * 4 // 5] = ids[0, : tokens * 4 // 5]  # 600 of 750; each row still is computed alone
    weights = [w[kind].requires_grad_() for w in model.layers[args.lowest_layer :] for kind in ("q", "k", "v", "up")]

    def step():
        hidden = model.body(ids)
        logits = model.logits(hidden)[:, -1] if args.logits == "all" else model.logits(hidden[:, -1])
        grads = torch.autograd.grad(pair_loss(logits, desired, undesired), weights)
        return [g[: model.shape.head_dim].clone() for g in grads]  # the rows of one head, or of 64 neurons

    times = measure(step, args.repeats, 0)
    for w in weights:
        w.requires_grad_(False)
    report(case, times, batch=args.batch, tokens=tokens, logits=args.logits, lowest_layer=args.lowest_layer)


@torch.inference_mode()
def bench_decode(model: Llama, args) -> None:
    for batch in args.decode_batches:
        prompt = draw(model.shape, batch, args.prompt_tokens)[0]
        prefill, decode = [], []
        for i in range(args.repeats + 1):  # the first is warm-up
            cache = Cache(model.shape, batch, args.prompt_tokens + args.new_tokens)
            begin = time.perf_counter()
            token = model.logits(model.body(prompt, cache)[:, -1]).argmax(-1, keepdim=True)
            ready = time.perf_counter()
            for _ in range(args.new_tokens):
                token = model.logits(model.body(token, cache)[:, -1]).argmax(-1, keepdim=True)
            if i:
                prefill.append(ready - begin)
                decode.append(time.perf_counter() - ready)
        rate = batch * args.new_tokens / statistics.median(decode)
        report(
            "decode", decode, batch=batch, prompt=args.prompt_tokens, new_tokens=args.new_tokens,
            tokens_per_s=round(rate, 2), prefill_s=round(statistics.median(prefill), 5),
        )  # fmt: skip


CASES = {
    "mask": bench_mask,
    "mask_cached": bench_mask_cached,
    "rows": lambda model, args: bench_rows(model, args, "rows", args.row_tokens),
    "shared": lambda model, args: bench_rows(model, args, "shared", args.shared_tokens),
    "decode": bench_decode,
}


def parse(argv=None):
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--cases", default=",".join(CASES), help="comma-separated; default: all")
    p.add_argument("--repeats", type=int, default=3)
    p.add_argument("--threads", type=int, default=1)
    p.add_argument("--batch", type=int, default=8)
    p.add_argument("--micro-batch", type=int, default=0, help="mask: sequences at a time, gradients added up; 0 takes all (9 GB at the default sizes)")
    p.add_argument("--mask-tokens", type=int, default=900)
    p.add_argument("--row-tokens", type=int, default=256)
    p.add_argument("--shared-tokens", type=int, default=750)
    p.add_argument("--lowest-layer", type=int, default=0, help="rows, shared: train this layer and those above")
    p.add_argument("--attention", choices=("fused", "eager"), default="fused", help="attention and RMSNorm: one kernel each, or written out")
    p.add_argument("--logits", choices=("all", "last"), default="all", help="positions whose logits the full-sequence cases compute")
    p.add_argument("--decode-batches", type=lambda s: [int(x) for x in s.split(",")], default=[1, 8, 32])
    p.add_argument("--prompt-tokens", type=int, default=64)
    p.add_argument("--new-tokens", type=int, default=64)
    for name, default in (("layers", 12), ("hidden", 768), ("heads", 12), ("kv-heads", 4), ("head-dim", 64), ("ffn", 2048), ("vocab", 32000)):
        p.add_argument(f"--{name}", type=int, default=default)
    args = p.parse_args(argv)
    args.cases = args.cases.split(",")
    if set(args.cases) - set(CASES):
        p.error(f"unknown case {', '.join(sorted(set(args.cases) - set(CASES)))}; known: {', '.join(CASES)}")
    if args.repeats < 1:
        p.error("--repeats must be at least 1")
    return args


def main() -> None:
    args = parse()
    torch.set_num_threads(args.threads)
    shape = Shape(args.layers, args.hidden, args.heads, args.kv_heads, args.head_dim, args.ffn, args.vocab)
    model = Llama(shape, seed=0, attention=args.attention)
    for case in args.cases:
        CASES[case](model, args)


if __name__ == "__main__":
    main()
