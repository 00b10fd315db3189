# %% [markdown]
# # A smaller classifier, step by step
#
# Open this file as a notebook (VS Code and Jupytext read the `# %%` cells), or run it as a script. A second run reuses the
# results of the first.

# %%
# `make quickstart` makes this teacher. For a model of your own, name its task too: TASK = {"task": "sst2", "data": "data/sst2"}.
TEACHER = "runs/quickstart/teacher"
TASK = {}
OUT = "runs/notebook"
LAYERS = 3
TEXTS = ["It stopped working after two days.", "Great sound, and the battery lasts.", "It works."]

# %% [markdown]
# ## The teacher

# %%
import compress  # noqa: E402 - cells come in the order of the story

teacher = compress.open(TEACHER)
print(teacher.folder, teacher.format, teacher.precision)

# %% [markdown]
# ## A student with fewer layers, then int8
#
# `help(compress.distill)` lists all settings.

# %%
student = compress.distill(teacher, f"{OUT}/student", layers=LAYERS, temperature=4, alpha=0.5, **TASK)

# %%
int8 = compress.quantize(student, f"{OUT}/int8", precision="int8")

# %% [markdown]
# ## Do they predict the same?

# %%
before, after = compress.load(teacher), compress.load(int8)
for text, one, other in zip(TEXTS, before(TEXTS), after(TEXTS), strict=True):
    print(f"{one['label']:<12} {other['label']:<12} {text}")

# %% [markdown]
# ## What it cost and what it gained
#
# This takes a few minutes: the models run in turns, each in its own process.

# %%
measurements = compress.benchmark({"student": student, "int8": int8}, f"{OUT}/measurements", suite="quick")
report = compress.write_report(f"{OUT}/measurements", f"{OUT}/report.html")
print(report.html)

# %%
names = {one.fingerprint: one.name for one in measurements.artifacts}
for found in measurements.measurements:
    if found.name in ("accuracy", "disk_bytes"):
        print(f"{names[found.artifact]:<12} {found.name:<12} {found.value}")
