"""The arms for a classifier, SST-2: few labels and much text, hidden layers, augmentation, several teachers."""

from __future__ import annotations

from collections.abc import Mapping

from contestants import TUNING_ROWS
from plan import Arm, Choice, Contrast, Entry, Settings
from students import (
    ALL_TEXTS,
    FEW,
    fine_tuned,
    int8_of,
    of_few_rows,
    of_given,
    of_given_teacher,
    of_own,
    of_own_ensemble,
    of_own_teacher,
    of_second_round,
)

TUNING_TEXTS = 19_000
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
"""A label weighs (1 - alpha) / rows of its batch, however few they are: 1,000 among many texts count little at any alpha."""
OWN_TEXT: Mapping[str, Settings] = {
    **WITH_TEXT,
    "temperature-1": {"alpha": 0.9, "temperature": 1.0},
    "confidence-0.9": {"alpha": 0.9, "confidence": 0.9},
}
"""With a `confidence`, only texts of whose class the (first) teacher is that sure."""
OWN_TEACHER: Mapping[str, Settings] = {
    "5-epochs-5e-5": {"epochs": 5, "learning_rate": 5e-5},
    "5-epochs-2e-5": {"epochs": 5, "learning_rate": 2e-5},
    "5-epochs-1e-4": {"epochs": 5, "learning_rate": 1e-4},
    "15-epochs-5e-5": {"epochs": 15, "learning_rate": 5e-5},
}
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
NARROW_LAYERS = {label: LAYERS_2[label] for label in ("logits", "hidden", "attention", "relations", "hidden-first")}
TWO_MORE_TEACHERS = tuple(fine_tuned(f"another-teacher-{seed}", seed, None, {}) for seed in (1, 2))

A1 = "(a1) Few labels, much text, a teacher that was trained on all labels"
A2 = "(a2) Few labels, much text, teachers trained on the same 1,000 labels"
B = "(b) Augmentation"
C = "(c) Hidden layers beside the teacher's predictions"
D = "(d) Several teachers"

LABELS_ALONE = "epochs and learning rate of a student without its teacher, 1,000 labels"
PLAIN = "student without its teacher, 1,000 labels, its own best epochs and learning rate"
FEW_LABELS = (
    Entry(
        A1,
        Choice(
            "given-text",
            "alpha for 1,000 labels and 19,000 texts",
            WITH_TEXT,
            of_given(rows=FEW, text=TUNING_TEXTS),
            minutes=2.8,
        ),
    ),
    Entry(A1, Choice("given-plain", LABELS_ALONE, WITHOUT_TEACHER, of_given(rows=FEW, alpha=0.0), minutes=2.1)),
    Entry(
        A1,
        arms=(
            Arm(
                "given-1000",
                "given teacher, 1,000 labels and all the text",
                of_given(rows=FEW, text=ALL_TEXTS),
                minutes=10.5,
                choice="given-text",
            ),
            Arm(
                "given-1000-plain",
                f"the same {PLAIN}",
                of_given(rows=FEW, alpha=0.0),
                minutes=3,
                choice="given-plain",
            ),
        ),
    ),
    Entry(A1, arms=(Arm("plain-all", "3 layers, all labels, no teacher", of_given(alpha=0.0), minutes=7.2),)),
    Entry(
        A2,
        Choice(
            "own-teacher",
            "epochs and learning rate of a teacher, 1,000 labels",
            OWN_TEACHER,
            of_few_rows,
            minutes=1.7,
        ),
    ),
    Entry(A2, Choice("own-plain", LABELS_ALONE, WITHOUT_TEACHER, of_own(alpha=0.0), minutes=2.1)),
    Entry(
        A2,
        Choice(
            "own-text",
            "alpha, temperature and the confidence that a text must have, for 1,000 labels and 19,000 texts",
            OWN_TEXT,
            of_own(text=TUNING_TEXTS),
            minutes=2.8,
        ),
    ),
    Entry(
        A2,
        arms=(
            Arm("own-teacher", "the teacher of 1,000 labels itself, 6 layers", of_own_teacher, minutes=2),
            Arm("own-plain", PLAIN, of_own(alpha=0.0), minutes=3, choice="own-plain"),
            Arm(
                "own-text",
                "student of one such teacher, 1,000 labels and all the text",
                of_own(text=ALL_TEXTS),
                minutes=10.5,
                choice="own-text",
            ),
            Arm(
                "own-ensemble",
                "student of three such teachers, with all the text",
                of_own_ensemble,
                minutes=16,
                choice="own-text",
            ),
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
            of_given(rows=TUNING_ROWS, layers=2),
            minutes=1.6,
        ),
    ),
    Entry(
        C,
        arms=(
            Arm("given-teacher", "the given teacher itself, 6 layers", of_given_teacher, minutes=0.4, seeds=(0,)),
            Arm(
                "layers-2-best",
                "2 layers, all labels, the losses that were best with 12,000",
                of_given(layers=2),
                minutes=8,
                choice="layers-2",
            ),
            Arm(
                "layers-2-best-int8",
                "the same in int8 (dynamic)",
                int8_of("layers-2-best", of_given(layers=2)),
                minutes=0.5,
                choice="layers-2",
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
                of_given(alpha=1.0),
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
                of_given(rows=FEW, text=ALL_TEXTS, layers=2),
                minutes=5.4,
                choice="given-text",
            ),
            Arm("plain-all-2-layers", "2 layers, all labels, no teacher", of_given(alpha=0.0, layers=2), minutes=5.4),
        ),
    ),
    Entry(
        B,
        arms=(
            Arm(
                "given-1000-augmented",
                "given teacher, 1,000 labels and 20 augmented copies of each, no text",
                of_given(rows=FEW, augment=20),
                minutes=3.6,
                choice="given-text",
            ),
        ),
    ),
    Entry(
        D,
        arms=(
            Arm(
                "given-all-ensemble",
                "all labels, the given teacher and two that were fine-tuned here",
                of_given(teachers=TWO_MORE_TEACHERS),
                minutes=18.5,
            ),
        ),
    ),
    Entry(
        A2,
        arms=(
            Arm(
                "own-second-round",
                "a second round, in which that student teaches",
                of_second_round,
                minutes=9,
                choice="own-text",
            ),
        ),
    ),
    Entry(
        C,
        Choice(
            "narrow",
            "what else a student of half the width matches, 12,000 labels",
            NARROW_LAYERS,
            of_given(NARROW, rows=TUNING_ROWS),
            minutes=2,
        ),
    ),
    Entry(
        C,
        arms=(
            Arm(
                "narrow-best",
                "half the width, 12,000 labels, the best losses",
                of_given(NARROW, rows=TUNING_ROWS),
                minutes=2.5,
                choice="narrow",
            ),
            Arm(
                "narrow-logits",
                "the same, predictions alone",
                of_given(NARROW, rows=TUNING_ROWS),
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
                of_given(layers=2, augment=1),
                minutes=12,
            ),
            Arm(
                "all-2-layers-2-epochs",
                "the same without copies, two epochs (as many steps)",
                of_given(layers=2, epochs=2.0),
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
