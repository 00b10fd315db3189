"""The arms for a classifier, SST-2: few labels and much text, hidden layers, augmentation, several teachers."""

from __future__ import annotations

from collections.abc import Mapping

from jobs import GIVEN, Job
from plan import TRIAL_SEED, Arm, Choice, Contrast, Entry, Settings
from students import TEACHER, fine_tuned, of_ensemble, own_teacher, second_round, sst2, student

TRIAL_TEXTS = 19_000
TRIAL_ROWS = 12_000
WITHOUT_TEACHER: Mapping[str, Settings] = {
    "10-epochs-2e-4": {"epochs": 10, "learning_rate": 2e-4},
    "10-epochs-5e-5": {"epochs": 10, "learning_rate": 5e-5},
    "10-epochs-2e-5": {"epochs": 10, "learning_rate": 2e-5},
    "4-epochs-2e-4": {"epochs": 4, "learning_rate": 2e-4},
    "30-epochs-1e-4": {"epochs": 30, "learning_rate": 1e-4},
    "30-epochs-2e-5": {"epochs": 30, "learning_rate": 2e-5},
    "60-epochs-5e-5": {"epochs": 60, "learning_rate": 5e-5},
}
"""Of 1,000 rows; 60 epochs are as many steps as a student with all the text takes. The two trials at 2e-5 were added when 5e-5,
the lowest rate before, was the best on held-out rows."""
WITH_TEXT: Mapping[str, Settings] = {
    "alpha-0.5": {"alpha": 0.5},
    "alpha-0.9": {"alpha": 0.9},
    "alpha-1": {"alpha": 1.0},
}
"""A batch has a labelled row at times, which then has the weight 1 - alpha alone: with few labels alpha may have to be higher."""

LAYERS_2: Mapping[str, Settings] = {
    "logits": {},
    "hidden": {"hidden_weight": 1.0},
    "hidden-last": {"hidden_weight": 1.0, "layer_map": "last"},
    "patient": {"hidden_weight": 10.0, "hidden_loss": "patient"},
    "cosine-last": {"hidden_weight": 1.0, "hidden_loss": "cosine", "layer_map": "last"},
    "attention": {"attention_weight": 1.0},
    "relations": {"relation_weight": 1.0},
    "hidden-attention": {"hidden_weight": 1.0, "attention_weight": 1.0, "embedding_weight": 1.0},
    "hidden-first": {"hidden_weight": 1.0, "intermediate_epochs": 0.5, "epochs": 0.5},
    "relations-first": {"relation_weight": 1.0, "intermediate_epochs": 0.5, "epochs": 0.5},
}
"""All of as many steps: where a first stage matches layers alone, the second one has the other half."""
NARROW: Settings = {"hidden_size": 192, "heads": 6, "intermediate_size": 768}

A1 = "(a1) Few labels, much text, a teacher that was trained on all labels"
A2 = "(a2) Few labels, much text, teachers trained on the same 1,000 labels"
B = "(b) Augmentation"
C = "(c) Hidden layers beside the teacher's predictions"
D = "(d) Several teachers"

FEW = (
    Entry(
        A1,
        Choice(
            "given-text",
            "alpha for 1,000 labels and 19,000 texts",
            WITH_TEXT,
            lambda name, one, chosen: student(name, TRIAL_SEED, one, rows=1000, text=TRIAL_TEXTS),
            minutes=2.8,
        ),
    ),
    Entry(
        A1,
        Choice(
            "given-plain",
            "epochs and learning rate of a student without its teacher, 1,000 labels",
            WITHOUT_TEACHER,
            lambda name, one, chosen: student(name, TRIAL_SEED, one, rows=1000, alpha=0.0),
            minutes=2.1,
        ),
    ),
    Entry(
        A1,
        arms=(
            Arm(
                "given-1000",
                "given teacher, 1,000 labels and all the text",
                lambda name, seed, chosen: student(name, seed, chosen("given-text"), rows=1000, text=0),
                minutes=10.5,
            ),
            Arm(
                "given-1000-plain",
                "the same student without its teacher, 1,000 labels, its own best epochs and learning rate",
                lambda name, seed, chosen: student(name, seed, chosen("given-plain"), rows=1000, alpha=0.0),
                minutes=3,
            ),
        ),
    ),
    Entry(
        A1,
        arms=(
            Arm(
                "plain-all",
                "3 layers, all labels, no teacher",
                lambda name, seed, chosen: student(name, seed, alpha=0.0),
                minutes=7.2,
            ),
        ),
    ),
    Entry(
        A2,
        Choice(
            "own-teacher",
            "epochs and learning rate of a teacher, 1,000 labels",
            {
                "5-epochs-5e-5": {"epochs": 5, "learning_rate": 5e-5},
                "5-epochs-2e-5": {"epochs": 5, "learning_rate": 2e-5},
                "5-epochs-1e-4": {"epochs": 5, "learning_rate": 1e-4},
                "15-epochs-5e-5": {"epochs": 15, "learning_rate": 5e-5},
            },
            lambda name, one, chosen: fine_tuned(name, TRIAL_SEED, 1000, one, TRIAL_SEED),
            minutes=1.7,
        ),
    ),
    Entry(
        A2,
        Choice(
            "own-plain",
            "epochs and learning rate of a student without its teacher, 1,000 labels",
            WITHOUT_TEACHER,
            lambda name, one, chosen: student(
                name, TRIAL_SEED, one, rows=1000, source=own_teacher(TRIAL_SEED, chosen), alpha=0.0
            ),
            minutes=2.1,
        ),
    ),
    Entry(
        A2,
        Choice(
            "own-text",
            "alpha, temperature and the confidence that a text must have, for 1,000 labels and 19,000 texts",
            {
                **WITH_TEXT,
                "temperature-1": {"alpha": 0.9, "temperature": 1.0},
                "confidence-0.9": {"alpha": 0.9, "confidence": 0.9},
            },
            lambda name, one, chosen: student(
                name, TRIAL_SEED, one, rows=1000, source=own_teacher(TRIAL_SEED, chosen), text=TRIAL_TEXTS
            ),
            minutes=2.8,
        ),
    ),
    Entry(
        A2,
        arms=(
            Arm(
                "own-teacher",
                "the teacher of 1,000 labels itself, 6 layers",
                lambda name, seed, chosen: Job(f"{name}-read", GIVEN, own_teacher(seed, chosen), sst2()),
                minutes=2,
            ),
            Arm(
                "own-plain",
                "student without its teacher, 1,000 labels, its own best epochs and learning rate",
                lambda name, seed, chosen: student(
                    name, seed, chosen("own-plain"), rows=1000, source=own_teacher(seed, chosen), alpha=0.0
                ),
                minutes=3,
            ),
            Arm(
                "own-text",
                "student of one such teacher, 1,000 labels and all the text",
                lambda name, seed, chosen: student(
                    name, seed, chosen("own-text"), rows=1000, source=own_teacher(seed, chosen), text=0
                ),
                minutes=10.5,
            ),
            Arm("own-ensemble", "student of three such teachers, with all the text", of_ensemble, minutes=16),
        ),
    ),
)
LAYERS = (
    Entry(
        C,
        Choice(
            "layers-2",
            "what else a student of 2 layers matches, 12,000 labels",
            LAYERS_2,
            lambda name, one, chosen: student(name, TRIAL_SEED, one, rows=TRIAL_ROWS, layers=2),
            minutes=1.6,
        ),
    ),
    Entry(
        C,
        arms=(
            Arm(
                "given-teacher",
                "the given teacher itself, 6 layers",
                lambda name, seed, chosen: Job(f"{name}-read", GIVEN, TEACHER, sst2()),
                minutes=0.4,
                seeds=(0,),
            ),
            Arm(
                "layers-2-best",
                "2 layers, all labels, what won on 12,000",
                lambda name, seed, chosen: student(name, seed, chosen("layers-2"), layers=2),
                minutes=8,
            ),
            Arm(
                "layers-2-best-int8",
                "the same in int8 (dynamic)",
                lambda name, seed, chosen: Job(
                    name,
                    "quantize",
                    student(f"layers-2-best-seed-{seed}", seed, chosen("layers-2"), layers=2),
                    sst2(),
                    {"precision": "int8", "mode": "dynamic"},
                ),
                minutes=0.5,
            ),
        ),
    ),
)
LATER = (
    Entry(
        A1,
        arms=(
            Arm(
                "given-0",
                "given teacher, no labels (alpha 1), all the text",
                lambda name, seed, chosen: student(name, seed, alpha=1.0),
                minutes=8.3,
            ),
        ),
    ),
    Entry(
        A1,
        arms=(
            Arm(
                "given-1000-2-layers",
                "2 layers, given teacher, 1,000 labels and all the text",
                lambda name, seed, chosen: student(name, seed, chosen("given-text"), rows=1000, text=0, layers=2),
                minutes=5.4,
            ),
            Arm(
                "plain-all-2-layers",
                "2 layers, all labels, no teacher",
                lambda name, seed, chosen: student(name, seed, alpha=0.0, layers=2),
                minutes=5.4,
            ),
        ),
    ),
    Entry(
        B,
        arms=(
            Arm(
                "given-1000-augmented",
                "given teacher, 1,000 labels and 20 augmented copies of each, no text",
                lambda name, seed, chosen: student(name, seed, chosen("given-text"), rows=1000, augment=20),
                minutes=3.6,
            ),
        ),
    ),
    Entry(
        D,
        arms=(
            Arm(
                "given-all-ensemble",
                "all labels, the given teacher and two that were fine-tuned here",
                lambda name, seed, chosen: student(
                    name,
                    seed,
                    teachers=tuple(fine_tuned(f"another-teacher-{one}", one, None, {}) for one in (1, 2)),
                ),
                minutes=18.5,
            ),
        ),
    ),
    Entry(
        A2,
        arms=(Arm("own-second-round", "a second round, in which that student teaches", second_round, minutes=9),),
    ),
    Entry(
        C,
        Choice(
            "narrow",
            "what else a student of half the width matches, 12,000 labels",
            {label: LAYERS_2[label] for label in ("logits", "hidden", "attention", "relations", "hidden-first")},
            lambda name, one, chosen: student(name, TRIAL_SEED, NARROW, one, rows=TRIAL_ROWS),
            minutes=2,
        ),
    ),
    Entry(
        C,
        arms=(
            Arm(
                "narrow-best",
                "half the width, 12,000 labels, what won",
                lambda name, seed, chosen: student(name, seed, NARROW, chosen("narrow"), rows=TRIAL_ROWS),
                minutes=2.5,
            ),
            Arm(
                "narrow-logits",
                "the same, predictions alone",
                lambda name, seed, chosen: student(name, seed, NARROW, rows=TRIAL_ROWS),
                minutes=2,
            ),
        ),
    ),
    Entry(
        B,
        arms=(
            Arm(
                "all-2-layers-augmented",
                "2 layers, all labels, one augmented copy of each row, one epoch",
                lambda name, seed, chosen: student(name, seed, layers=2, augment=1),
                minutes=12,
            ),
            Arm(
                "all-2-layers-2-epochs",
                "the same without copies, two epochs (as many steps)",
                lambda name, seed, chosen: student(name, seed, layers=2, epochs=2.0),
                minutes=10.3,
            ),
        ),
    ),
)
EARLIER = {"plain-all-earlier": ("plain", 3), "given-all": ("ours", 3), "given-all-2-layers": ("ours", 2)}
"""Arms of the comparison with TextBrewer, the contestant and its layers: read from `distillation.json`. Their training split had
64,103 rows; today's has 63,995, since the rule by which rows are held out has changed. One arm is trained on both."""
CONTRASTS = (
    Contrast("a teacher of all labels; 1,000 labels and all the text; 3 layers", "given-1000", "given-1000-plain"),
    Contrast("the same, against all labels without a teacher", "given-1000", "plain-all"),
    Contrast("no labels, against all labels without a teacher", "given-0", "plain-all"),
    Contrast(
        "2 layers, 1,000 labels, against all labels without a teacher", "given-1000-2-layers", "plain-all-2-layers"
    ),
    Contrast("a teacher of the same 1,000 labels; all the text; 3 layers", "own-text", "own-plain"),
    Contrast("three such teachers", "own-ensemble", "own-plain"),
    Contrast("three such teachers against one", "own-ensemble", "own-text"),
    Contrast("a second round against the first", "own-second-round", "own-ensemble"),
    Contrast("a student against its teacher of twice the depth", "own-ensemble", "own-teacher"),
    Contrast("all labels; 3 layers", "given-all", "plain-all-earlier"),
    Contrast("all labels without a teacher: the earlier students against today's", "plain-all-earlier", "plain-all"),
    Contrast("all labels; 2 layers", "given-all-2-layers", "plain-all-2-layers"),
    Contrast(
        "the best layer losses against predictions alone, all labels; 2 layers", "layers-2-best", "given-all-2-layers"
    ),
    Contrast("2 layers in int8 against the teacher", "layers-2-best-int8", "given-teacher"),
    Contrast("the best layer losses against predictions alone; half the width", "narrow-best", "narrow-logits"),
    Contrast("three teachers against one, all labels; 3 layers", "given-all-ensemble", "given-all"),
    Contrast("augmentation in place of text, 1,000 labels", "given-1000-augmented", "given-1000"),
    Contrast("augmentation against no teacher, 1,000 labels", "given-1000-augmented", "given-1000-plain"),
    Contrast("augmentation, all labels; 2 layers; equal steps", "all-2-layers-augmented", "all-2-layers-2-epochs"),
)
