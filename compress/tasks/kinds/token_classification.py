"""One answer a word: its tag, of entities or parts of speech. A word is answered at the first of its tokens."""

from __future__ import annotations

from compress.tasks.kinds.described import LABELLED, Described
from compress.tasks.kinds.kind import Kind
from compress.tasks.kinds.laws import CATEGORICAL

KIND = Kind(
    name="token-classification",
    laws={"token_classification": CATEGORICAL},
    heads=("ForTokenClassification",),
    auto_class="AutoModelForTokenClassification",
    in_words="token classification",
    described={
        "token_classification": Described(
            noun="a token classification",
            metrics=("entity_f1",),
            keys=LABELLED,
            own_keys=("labels", "labels_from"),
            needed=("data",),
            pairs=False,
            usual_columns=("tokens", "tags"),
            aliases=("ner",),
        )
    },
    adapter_type="TOKEN_CLS",
    by_token=True,
)
