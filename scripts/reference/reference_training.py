"""What the reference scripts share: reading rows, batching, the token-weighted loss, the training loop and decoding.

All of it is the plain PyTorch / transformers / PEFT way of doing what `graft train --no-shuffle --precision f32` does.
"""

import json
import math
from pathlib import Path

import torch
import torch.nn.functional as F
from peft.optimizers import create_loraplus_optimizer
from transformers import (
    AutoModelForCausalLM,
    get_constant_schedule_with_warmup,
    get_cosine_schedule_with_warmup,
    get_linear_schedule_with_warmup,
)

IGNORED = -100
PAD_ID = 0


def load_base(model_dir):
    """The base model in float32 (bf16 and f16 weights are upcast exactly), with plain softmax attention."""
    model = AutoModelForCausalLM.from_pretrained(model_dir, dtype=torch.float32, attn_implementation="eager")
    forget_rope_history(model)
    return model.eval()


def forget_rope_history(model):
    """Makes dynamic NTK RoPE a function of the padded length of the batch at hand.

    transformers keeps the frequencies of the longest batch seen until a batch shorter than the original length comes,
    so that a loss would depend on the batches before it. Other RoPE kinds have no such state.
    """

    def reset(rotary, _args, _kwargs):
        rotary.inv_freq = rotary.original_inv_freq
        rotary.max_seq_len_cached = rotary.original_max_seq_len

    rotary = model.model.rotary_emb
    if "dynamic" in rotary.rope_type:
        rotary.register_forward_pre_hook(reset, with_kwargs=True)


def read_rows(path):
    """The rows of a pre-tokenised data file: {"input_ids": [...], "labels": [...]} a line, -100 = masked."""
    rows = [json.loads(line) for line in Path(path).read_text().splitlines() if line.strip()]
    for number, row in enumerate(rows, start=1):
        if len(row.get("input_ids", [])) == 0 or len(row["input_ids"]) != len(row.get("labels", [])):
            raise SystemExit(f'{path}:{number}: expected "input_ids" and "labels" of one length')
    return rows


def chunks(items, size):
    return [items[i : i + size] for i in range(0, len(items), size)]


def target_count(rows):
    """Unmasked targets: labels are shifted by one, so the first label of a row is never a target."""
    return sum(label != IGNORED for row in rows for label in row["labels"][1:])


def padded(rows, width=None):
    """Right-padded input ids, attention mask and labels, each [rows, width]."""
    width = width or max(len(row["input_ids"]) for row in rows)

    def tensor(key, fill):
        return torch.tensor([row[key] + [fill] * (width - len(row[key])) for row in rows])

    lengths = torch.tensor([len(row["input_ids"]) for row in rows])
    mask = (torch.arange(width)[None, :] < lengths[:, None]).long()
    return tensor("input_ids", PAD_ID), mask, tensor("labels", IGNORED)


def loss_sum(model, rows, width=None):
    """Sum of -log p over the unmasked targets of the rows."""
    input_ids, mask, labels = padded(rows, width)
    logits = model(input_ids=input_ids, attention_mask=mask, use_cache=False).logits
    targets = labels[:, 1:]
    return F.cross_entropy(
        logits[:, :-1].reshape(-1, logits.shape[-1]), targets.reshape(-1), ignore_index=IGNORED, reduction="sum"
    )


@torch.no_grad()
def eval_loss(model, rows, batch_size):
    """Mean loss over all unmasked targets; batches are consecutive rows."""
    total = sum(loss_sum(model, batch).item() for batch in chunks(rows, batch_size))
    return total / target_count(rows)


def windows(rows, flags):
    """The rows of each optimizer step, as a list of batches: in file order, epoch after epoch.

    A window (the batches accumulated for one optimizer step) never spans the end of an epoch: the last batch of an
    epoch may have fewer rows and its last window fewer batches.
    """
    epoch = chunks(chunks(rows, flags["batch_size"]), flags["grad_accum"])
    return [epoch[step % len(epoch)] for step in range(flags["steps"])]


def make_optimizer(model, flags):
    """AdamW; with `lora_plus_ratio`, B learns so many times as fast as A, by PEFT's own optimizer groups."""
    adam = dict(lr=flags["lr"], betas=(0.9, 0.999), eps=1e-8)
    if "lora_plus_ratio" in flags:
        return create_loraplus_optimizer(
            model,
            torch.optim.AdamW,
            loraplus_lr_ratio=flags["lora_plus_ratio"],
            loraplus_weight_decay=flags["weight_decay"],
            **adam,
        )
    parameters = [p for p in model.parameters() if p.requires_grad]
    return torch.optim.AdamW(parameters, weight_decay=flags["weight_decay"], **adam)


def make_schedule(optimizer, flags):
    """The factor used at optimizer step i (0-based) is schedule(i), so a warm-up starts at learning rate 0."""
    warmup, steps = flags["warmup_steps"], flags["steps"]
    if flags["schedule"] == "constant":
        return get_constant_schedule_with_warmup(optimizer, warmup)
    make = {"linear": get_linear_schedule_with_warmup, "cosine": get_cosine_schedule_with_warmup}
    return make[flags["schedule"]](optimizer, warmup, steps)


def train(model, rows, flags, row_by_row=False, after_backward=None):
    """Trains the parameters that require gradients; returns [{"step", "loss", "lr", "grad_norm", "tokens"}].

    The loss of a step is the mean over all unmasked targets of its window, so accumulating equals one large batch.
    `grad_norm` is taken before clipping. `row_by_row` puts each row through the model alone (padded as in its batch):
    the same mathematics summed in another order, which shows how far float32 rounding alone moves the results.
    `after_backward(step)` is called while the unclipped gradients are in place.
    """
    parameters = [p for p in model.parameters() if p.requires_grad]
    optimizer = make_optimizer(model, flags)
    schedule = make_schedule(optimizer, flags)
    metrics = []
    for step, window in enumerate(windows(rows, flags), start=1):
        tokens = sum(target_count(batch) for batch in window)
        loss = 0.0
        for batch in window:
            width = max(len(row["input_ids"]) for row in batch)
            for part in chunks(batch, 1) if row_by_row else [batch]:
                part_loss = loss_sum(model, part, width) / tokens
                part_loss.backward()
                loss += part_loss.item()
        if after_backward:
            after_backward(step)
        limit = flags["clip_norm"] if flags["clip_norm"] > 0 else math.inf
        norm = torch.nn.utils.clip_grad_norm_(parameters, limit).item()
        lr = optimizer.param_groups[0]["lr"]
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        metrics.append({"step": step, "loss": loss, "lr": lr, "grad_norm": norm, "tokens": tokens})
    return metrics


@torch.no_grad()
def last_logits(model, ids):
    """Logits at the last position of one sequence, all of it computed afresh."""
    return model(input_ids=torch.tensor([ids]), use_cache=False).logits[0, -1]


@torch.no_grad()
def greedy(model, prompt, count, use_cache=True):
    """Greedy continuation of exactly `count` tokens by transformers' generate(), end tokens notwithstanding.

    Returns the new tokens and the smallest gap between the best and the second-best logit over all steps.
    """
    ids = torch.tensor([prompt])
    out = model.generate(
        input_ids=ids,
        attention_mask=torch.ones_like(ids),
        do_sample=False,
        max_new_tokens=count,
        eos_token_id=None,
        pad_token_id=PAD_ID,
        use_cache=use_cache,
        return_dict_in_generate=True,
        output_logits=True,
    )
    best = torch.cat(out.logits).topk(2).values
    return out.sequences[0, len(prompt) :].tolist(), (best[:, 0] - best[:, 1]).min().item()
