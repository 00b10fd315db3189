"""What kinds of tasks there are: one file each, with a `KIND`, named as the Hugging Face hub names tasks."""

from compress.tasks.kinds.kind import (
    Inference,
    Kind,
    Output,
    by_adapter,
    by_config,
    by_head,
    by_task,
    every,
    of_tasks,
    templates,
)

__all__ = [
    "Inference",
    "Kind",
    "Output",
    "by_adapter",
    "by_config",
    "by_head",
    "by_task",
    "every",
    "of_tasks",
    "templates",
]
