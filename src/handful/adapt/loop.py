"""The one training loop: any method, resumable at every step, on one device or several."""

from __future__ import annotations

import copy
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import torch
from lightning_fabric import Fabric
from timm.utils import ModelEmaV3
from torch import Tensor, nn
from torch.multiprocessing import ProcessRaisedException
from torch.utils.data import DataLoader

from handful.adapt.chain import evaluation
from handful.adapt.checkpoint import (
    optimizer_tensors,
    read_checkpoint,
    restore_optimizer,
    write_checkpoint,
)
from handful.adapt.feeding import Batches, TrainingData, Views, collate
from handful.adapt.identity import claim, halve_batch, identity
from handful.adapt.log import Log
from handful.adapt.memory import keep_freed_memory
from handful.adapt.order import seed_of
from handful.adapt.recipe import Budget, Hardware, Recipe
from handful.adapt.trainable import freeze_norms
from handful.core import AdaptError, Progress, listed

_CHECKPOINT_SECONDS = 30.0
_LOOKS = 10  # times that `look` is called in a run
_GPU_WORKERS = 8
_TRIED_STEPS = 3  # to measure the time of one
_SPENT = 0.9  # of a budget in seconds: the rest is for export


class Method(Protocol):
    """What is trained: an `nn.Module` that turns views of images into a loss.

    All its state lies in parameters and buffers. ``chain`` is what is exported;
    heads, decoders and teachers are other attributes, dropped then.
    """

    chain: nn.Sequential

    def augment(self, image: Any) -> tuple[Tensor, ...]:
        """Return the views of one image, uint8 [3, s, s]; randomness is torch's global generator.

        An image may have fewer views than another; ``views[1]`` then holds the rows that have two.
        """

    def forward(
        self, views: tuple[Tensor, ...], target: Tensor, index: Tensor
    ) -> dict[str, Tensor]:
        """Return ``loss`` and what else is to be logged, for views float32 [n, 3, s, s]."""

    def parameter_groups(self, rate: float, weight_decay: float) -> list[dict[str, Any]]:
        """Return the optimizer's groups."""

    def after_step(self, progress: float) -> None:
        """Follow up on a step; ``progress`` in (0, 1]."""


Look = Callable[[Any], dict[str, float]]


def plan(
    method: nn.Module, data: TrainingData, recipe: Recipe, budget: Budget, hardware: Hardware
) -> Recipe:
    """Return the recipe with a batch that the data can fill and the steps that the budget pays for.

    A budget in seconds is turned into steps once, here, by the time of a few
    steps on a copy.

    Raises
    ------
    AdaptError
        If there is no image, or the budget is too small for one step.
    """
    if not len(data.names):
        raise AdaptError("There is no image to train on.")
    devices = hardware.devices
    size = min(recipe.batch_size, len(data.names))
    recipe = replace(recipe, batch_size=max(size // devices, 1) * devices)
    seconds = None
    if budget.unit == "seconds":
        start = time.perf_counter()
        recipe, seconds = _timed(method, data, recipe, hardware)
        spent = time.perf_counter() - start
        budget = replace(budget, amount=max(_SPENT * budget.amount - spent, 0.0))
    steps = budget.steps(
        n_images=len(data.names), batch_size=recipe.batch_size, step_seconds=seconds
    )
    return replace(recipe, steps=steps)


def train(
    method: nn.Module,
    data: TrainingData,
    recipe: Recipe,
    folder: Path,
    *,
    look: Look | None = None,
    hardware: Hardware | None = None,
    quiet: bool = False,
) -> Recipe:
    """Train a method in place; a run that was killed goes on from its folder.

    On a CPU a run that went on ends bit-equal to one that was not killed, given
    the same number of threads.

    Parameters
    ----------
    method : nn.Module
        A `Method`. Afterwards it holds the averaged weights, in evaluation mode.
    data : TrainingData
    recipe : Recipe
    folder : Path
        Of this run alone: ``run.json``, the state, ``log.jsonl``.
    look : callable, optional
        Takes the method with the averaged weights, in evaluation mode, ten times a run,
        and returns figures for the log. It raises AdaptError to stop the run.
    hardware : Hardware, optional
    quiet : bool, default=False
        Show no progress.

    Returns
    -------
    Recipe
        The one that was trained with: a smaller batch and more steps where
        memory ran out.

    Raises
    ------
    AdaptError
        If the folder holds another run, the loss is no longer finite, or not
        even one image fits into memory.
    """
    recipe = claim(folder, identity(method, data.names, data.targets, recipe))
    start = copy.deepcopy(method.state_dict())
    while True:
        try:
            _Run(data, recipe, folder, look, hardware or Hardware(), quiet).launch(method)
            break
        except (MemoryError, RuntimeError) as error:
            if not _is_memory(error):
                raise
            recipe = halve_batch(folder, recipe)
            print(f"Memory ran out: {recipe.batch_size} images a step now.", file=sys.stderr)  # noqa: T201
            method.load_state_dict(start)
    found = read_checkpoint(folder)
    if found is None:
        raise AdaptError(f"The run in {str(folder)!r} left no state.")
    method.load_state_dict(_part(found[1], "ema") or _part(found[1], "method"))
    method.eval()
    return recipe


def _timed(
    method: nn.Module, data: TrainingData, recipe: Recipe, hardware: Hardware
) -> tuple[Recipe, float]:
    """Return the time of one step, with a smaller batch where memory runs out."""
    while True:
        try:
            run = _Run(data, recipe, None, None, hardware, quiet=True)
            return recipe, run.step_seconds(method)
        except (MemoryError, RuntimeError) as error:
            if not _is_memory(error) or recipe.batch_size == 1:
                raise
            recipe = replace(recipe, batch_size=recipe.batch_size // 2)


def _is_memory(error: BaseException) -> bool:
    text = str(error).lower()
    return isinstance(error, MemoryError) or "out of memory" in text or "allocate memory" in text


def _part(tensors: dict[str, Tensor], name: str) -> dict[str, Tensor]:
    prefix = f"{name}/"
    return {key[len(prefix) :]: value for key, value in tensors.items() if key.startswith(prefix)}


@dataclass
class _State:
    """Everything that a step changes."""

    model: Any  # the method as Fabric runs it
    method: nn.Module
    optimizer: Any
    ema: ModelEmaV3 | None

    def tensors(self) -> dict[str, Tensor]:
        parts = {"method": self.method.state_dict(), "optimizer": optimizer_tensors(self.optimizer)}
        if self.ema is not None:
            parts["ema"] = self.ema.module.state_dict()
        return {f"{part}/{key}": value for part, own in parts.items() for key, value in own.items()}

    def restore(self, tensors: dict[str, Tensor]) -> None:
        self.method.load_state_dict(_part(tensors, "method"))
        restore_optimizer(self.optimizer, _part(tensors, "optimizer"))
        if self.ema is not None:
            self.ema.module.load_state_dict(_part(tensors, "ema"))

    def averaged(self) -> Any:
        return self.method if self.ema is None else self.ema.module


@dataclass
class _Run:
    """One attempt at a run; without a folder nothing is written."""

    data: TrainingData
    recipe: Recipe
    folder: Path | None
    look: Look | None
    hardware: Hardware
    quiet: bool

    def launch(self, method: nn.Module) -> None:
        """Train until the last step, in as many processes as there are devices."""
        fabric = Fabric(
            accelerator=self.hardware.accelerator, devices=self.hardware.devices, precision=self.hardware.precision,
            strategy="ddp_spawn" if self.hardware.devices > 1 else "auto",
        )  # fmt: skip
        try:
            fabric.launch(self._work, method)
        except ProcessRaisedException as error:  # what one of them raised, as text
            _, is_ours, message = str(error).rpartition(f"{AdaptError.__name__}: ")
            raise (AdaptError(message.strip()) if is_ours else RuntimeError(str(error))) from error

    def step_seconds(self, method: nn.Module) -> float:
        """Return the time of one step, measured on a copy after a first one."""
        few = replace(self.recipe, steps=_TRIED_STEPS + 1)
        run = replace(self, recipe=few, hardware=replace(self.hardware, devices=1, workers=0))
        fabric = Fabric(
            accelerator=self.hardware.accelerator, devices=1, precision=self.hardware.precision
        )
        state = run._set_up(fabric, copy.deepcopy(method))
        times = [time.perf_counter()]
        for step, batch in enumerate(run._loader(fabric, method, 0)):
            float(run._step(fabric, state, step, batch)["loss"])
            times.append(time.perf_counter())
        return (times[-1] - times[1]) / _TRIED_STEPS / self.hardware.devices

    def _set_up(self, fabric: Fabric, method: nn.Module) -> _State:
        keep_freed_memory()
        recipe = self.recipe
        groups = method.parameter_groups(recipe.rate, recipe.weight_decay)
        for group in groups:
            group["highest"] = group.setdefault("lr", recipe.rate)
        optimizer: torch.optim.Optimizer
        if recipe.optimizer == "sgd":
            optimizer = torch.optim.SGD(groups, lr=recipe.rate, momentum=0.9, nesterov=True)
        else:
            optimizer = torch.optim.AdamW(groups, lr=recipe.rate)
        model, wrapped = fabric.setup(method, optimizer)
        ema = None
        if recipe.ema is not None:
            ema = ModelEmaV3(method, decay=recipe.ema, use_warmup=True, warmup_power=0.75)
        return _State(model, method, wrapped, ema)

    def _loader(self, fabric: Fabric, method: Any, start: int) -> DataLoader[Any]:
        workers = self.hardware.workers
        if workers is None:
            workers = 0 if fabric.device.type == "cpu" else _GPU_WORKERS
        return DataLoader(
            Views(self.data.images, method.augment),
            batch_sampler=Batches(self.data, self.recipe, start, fabric.global_rank, fabric.world_size),
            collate_fn=collate, num_workers=workers, pin_memory=fabric.device.type == "cuda", persistent_workers=False,
        )  # fmt: skip

    def _work(self, fabric: Fabric, method: nn.Module) -> None:
        if self.folder is None:
            raise ValueError("A run needs a folder.")
        state = self._set_up(fabric, method)
        found = read_checkpoint(self.folder)
        start = 0
        if found is not None:
            start = found[0]
            state.restore(found[1])
        board = self.hardware.tensorboard
        log = Log(self.folder, start, tensorboard=board) if fabric.is_global_zero else None
        if found is None and log is not None:
            self._save(state, 0, log)
        recipe, looks = self.recipe, self._look_steps()
        scaled = self.hardware.precision == "16-mixed"  # its scaler skips steps that overflow
        saved = begin = time.monotonic()
        quiet = self.quiet or log is None
        with Progress("train", (recipe.steps - start) * recipe.batch_size, quiet=quiet) as progress:
            for step, batch in enumerate(self._loader(fabric, method, start), start):
                out = {
                    key: float(value)
                    for key, value in self._step(fabric, state, step, batch).items()
                }
                if not _is_finite(out["loss"]) or not (scaled or _is_finite(out["norm"])):
                    raise AdaptError(self._not_finite(step, batch))
                rate = (step + 1 - start) * recipe.batch_size / (time.monotonic() - begin)
                progress.advance(
                    recipe.batch_size, f"loss {out['loss']:.3f}, {rate:.3g} {self.data.unit}/s"
                )
                if log is None:
                    continue
                if step + 1 in looks and self.look is not None:
                    out |= self._looked(state)
                log.add(step, out)
                if time.monotonic() - saved > _CHECKPOINT_SECONDS or step + 1 in looks:
                    self._save(state, step + 1, log)
                    saved = time.monotonic()

    def _look_steps(self) -> set[int]:
        if self.look is None:
            return {self.recipe.steps}
        every = max(1, self.recipe.steps // _LOOKS)
        return {*range(every, self.recipe.steps - every + 1, every), self.recipe.steps}

    def _looked(self, state: _State) -> dict[str, float]:
        method = state.averaged()
        with evaluation(method):
            return self.look(method) if self.look else {}

    def _save(self, state: _State, step: int, log: Log) -> None:
        log.flush()
        if self.folder is not None:
            write_checkpoint(self.folder, step, state.tensors(), {"steps": self.recipe.steps})

    def _step(self, fabric: Fabric, state: _State, step: int, batch: Any) -> dict[str, Any]:
        views, rows = batch
        device = fabric.device
        targets = torch.from_numpy(self.data.targets)[rows].to(device)
        inputs = tuple(self._normalised(view.to(device, non_blocking=True)) for view in views)
        for group in state.optimizer.param_groups:
            group["lr"] = group["highest"] * self.recipe.rate_at(step)
        state.model.train()
        if self.recipe.frozen_norms:
            freeze_norms(state.method)
        torch.manual_seed(seed_of(self.recipe.random_state, 2, step, fabric.global_rank))
        out = state.model(inputs, targets, rows.to(device))
        fabric.backward(out["loss"])
        limit = self.recipe.clip or float("inf")
        norm = fabric.clip_gradients(
            state.model, state.optimizer, max_norm=limit, error_if_nonfinite=False
        )
        state.optimizer.step()
        state.optimizer.zero_grad()
        state.method.after_step((step + 1) / self.recipe.steps)
        if state.ema is not None:
            state.ema.update(state.method, step=step + 1)
        mean = {key: fabric.all_reduce(value.detach().float()) for key, value in out.items()}
        return {**mean, "norm": norm}

    def _normalised(self, view: Tensor) -> Tensor:
        if view.dtype != torch.uint8:
            return view
        mean, std = (
            torch.tensor(value, dtype=torch.float32, device=view.device).reshape(3, 1, 1) * 255
            for value in (self.data.mean, self.data.std)
        )
        flat = view.flatten(0, -4)  # tasks are views of several images
        return ((flat.float() - mean) / std).contiguous(memory_format=torch.channels_last)

    def _not_finite(self, step: int, batch: Any) -> str:
        names = [self.data.names[row] for row in batch[1].tolist()]
        where = f", on the images with the hashes {listed(names)}" * (self.data.unit == "images")
        return (
            f"The loss or its gradient is no longer finite at step {step + 1} of {self.recipe.steps}{where}. "
            f"The last good weights are in {str(self.folder)!r}. Take another folder and a lower --rate."
        )


def _is_finite(value: float) -> bool:
    return value - value == 0
