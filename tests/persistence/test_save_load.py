"""Model files: exact round trips, and nothing runs, breaks or surprises on the way in."""

import errno
import hashlib
import importlib
import io
import json
import os
import pickle
import signal
import subprocess
import sys
import time
import zipfile

import numpy as np
import pytest
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.calculators.lj import LennardJones
from ase.calculators.mixing import SumCalculator
from ase.calculators.morse import MorsePotential
from sklearn.base import BaseEstimator, RegressorMixin, clone
from sklearn.datasets import make_regression
from sklearn.ensemble import StackingRegressor, VotingRegressor
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.kernel_ridge import KernelRidge
from sklearn.linear_model import Ridge
from sklearn.metrics import make_scorer, max_error, mean_pinball_loss
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from skatom._runtime import whole_files as _atomic_files
from skatom.bases import GivenCalculator
from skatom.datasets import load_dataset
from skatom.featurizers import ACSF
from skatom.metrics import neg_energy_mae, neg_force_mae
from skatom.models import AtomicKernelRidge, AtomicRidge, NeuralNetworkRegressor
from skatom.persistence import TRUSTED, _save_load, load, read_manifest, save
from skatom.potential import CalculatorRegressor, DeltaRegressor, predict_forces
from skatom.preprocessing import PerAtom, Pool
from skatom.testing import all_estimators
from skatom.uncertainty import (
    ConformalRegressor,
    CrossConformalRegressor,
    DomainFlags,
    FeatureDistance,
)


class Mean(RegressorMixin, BaseEstimator):
    """An estimator that neither skatom nor scikit-learn knows."""

    def fit(self, X, y):
        self.mean_ = float(np.mean(y))
        return self

    def predict(self, X):
        return np.full(len(X), self.mean_)


@pytest.fixture(scope="module")
def data():
    return make_regression(40, 5, random_state=0)


@pytest.fixture(scope="module")
def model(data):
    return make_pipeline(StandardScaler(), KernelRidge(kernel="rbf")).fit(*data)


@pytest.fixture
def path(model, tmp_path):
    return save(model, tmp_path / "model.skatom")


def test_predictions_survive_bit_for_bit(model, path, data):
    np.testing.assert_array_equal(load(path).predict(data[0]), model.predict(data[0]))


def test_loaded_estimators_can_be_cloned_and_fitted_again(path, data):
    again = clone(load(path)).fit(*data)
    np.testing.assert_array_equal(again.predict(data[0]), load(path).predict(data[0]))


def test_search_objects_are_stored(data, tmp_path):
    search = GridSearchCV(
        make_pipeline(StandardScaler(), KernelRidge()),
        {"kernelridge__alpha": [0.1, 1.0]},
        cv=2,
    ).fit(*data)
    loaded = load(save(search, tmp_path / "search.skatom"))
    assert loaded.best_params_ == search.best_params_
    np.testing.assert_array_equal(loaded.predict(data[0]), search.predict(data[0]))


def test_path_with_spaces_and_umlauts(model, tmp_path):
    path = tmp_path / "mein Modell für Wasser ✓.skatom"
    assert save(model, str(path)) == path
    assert load(str(path)).steps[0][0] == "standardscaler"


def test_manifest_names_versions_units_and_checksums(path):
    manifest = read_manifest(path)
    assert manifest["format_version"] == 1
    assert manifest["estimator"] == "Pipeline"
    assert manifest["steps"] == ["Pipeline", "StandardScaler", "KernelRidge"]
    assert manifest["units"]["forces"] == "eV/Å"
    assert manifest["species"] is None
    assert manifest["versions"]["numpy"] == np.__version__
    with zipfile.ZipFile(path) as archive:
        body = archive.read("estimator.skops")
    recorded = manifest["members"]["estimator.skops"]
    assert recorded == {"size": len(body), "sha256": hashlib.sha256(body).hexdigest()}


def test_manifest_finds_species_inside_a_search(tmp_path):
    inner = StandardScaler().fit([[0.0], [1.0]])
    inner.species_ = ["H", "O"]
    search = GridSearchCV(Pipeline([("scale", StandardScaler())]), {})
    search.best_estimator_ = Pipeline([("scale", inner)])
    assert _save_load._species(search) == ["H", "O"]


def test_trusted_names_are_classes_where_they_are_said_to_be():
    for name in TRUSTED:
        module, _, cls = name.rpartition(".")
        found = getattr(importlib.import_module(module), cls)
        assert found.__qualname__ == cls
        assert name.startswith("skatom.") or found.__module__ == module


def test_every_public_estimator_is_trusted_under_the_name_of_its_import():
    for _, cls in all_estimators():
        wing = cls.__module__.split(".")[1]
        assert f"skatom.{wing}.{cls.__qualname__}" in TRUSTED


def classes_in(path) -> set[str]:
    """Full names of all classes that a model file asks for."""
    with zipfile.ZipFile(path) as archive:
        body = archive.read("estimator.skops")
    with zipfile.ZipFile(io.BytesIO(body)) as archive:
        waiting, found = [json.loads(archive.read("schema.json"))], set()
    while waiting:
        node = waiting.pop()
        if isinstance(node, dict):
            if "__module__" in node:
                found.add(f"{node['__module__']}.{node['__class__']}")
            node = list(node.values())
        if isinstance(node, list):
            waiting += node
    return found


def test_classes_are_named_by_their_imports(tmp_path):
    names = classes_in(save(scaled(AtomicRidge()), tmp_path / "model.skatom"))
    ours = {name for name in names if name.startswith("skatom.")}
    assert ours == {
        "skatom.featurizers.ACSF",
        "skatom.preprocessing.PerAtom",
        "skatom.models.AtomicRidge",
    }


def test_a_search_comes_back_with_the_scorer_that_it_was_judged_by(tmp_path):
    search = GridSearchCV(
        scaled(AtomicRidge(1e-3)),
        {"atomicridge__alpha": [1.0]},
        scoring=neg_force_mae,
        cv=2,
    )
    data = load_dataset("malonaldehyde", "train")
    search.fit(data.frames[:10], data.energies[:10])
    loaded = load(save(search, tmp_path / "search.skatom"))
    assert loaded.scoring is neg_force_mae
    score = loaded.score(data.frames[10:12], data.energies[10:12])
    assert score == search.score(data.frames[10:12], data.energies[10:12])


def scaled(model):
    return make_pipeline(ACSF(r_cut=4.0), PerAtom(StandardScaler()), model)


@pytest.mark.parametrize(
    "estimator",
    [
        scaled(AtomicKernelRidge()),
        scaled(AtomicKernelRidge(n_references=20)),
        scaled(AtomicRidge(1e-3)),
        scaled(NeuralNetworkRegressor(max_epochs=2, random_state=0)),
        scaled(make_pipeline(Pool(), GaussianProcessRegressor(alpha=1e-3))),
        DeltaRegressor(scaled(AtomicRidge(1e-3))),
        ConformalRegressor(
            scaled(AtomicRidge(1e-3)), calibration_size=4, random_state=0
        ),
        CrossConformalRegressor(scaled(AtomicRidge(1e-3)), cv=2),
    ],
    ids=["exact", "sparse", "ridge", "network", "pooled", "delta", "conformal", "cv+"],
)
def test_potentials_come_back_with_the_same_forces(estimator, tmp_path, recwarn):
    data = load_dataset("malonaldehyde", "train")
    X, y, X_new = data.frames[:12], data.energies[:12], data.frames[12:14]
    estimator.fit(X, y)
    recwarn.clear()
    loaded = load(save(estimator, tmp_path / "model.skatom"))
    assert not recwarn.list  # nothing that must be trusted by name
    np.testing.assert_array_equal(loaded.predict(X_new), estimator.predict(X_new))
    for found, expected in zip(
        predict_forces(loaded, X_new), predict_forces(estimator, X_new)
    ):
        np.testing.assert_array_equal(found, expected)
    assert read_manifest(tmp_path / "model.skatom")["species"] == ["H", "C", "O"]


def test_flags_come_back(tmp_path):
    data = load_dataset("malonaldehyde", "train")
    estimator = scaled(AtomicRidge(1e-3)).fit(data.frames[:20], data.energies[:20])
    flags = DomainFlags(estimator, ["distance", "range", "d_optimality"])
    flags.set_params(random_state=0).fit(data.frames[:20])
    loaded = load(save(flags, tmp_path / "flags.skatom"))
    for name, grades in flags.grades(data.frames[20:30]).items():
        found = loaded.grades(data.frames[20:30])[name]
        np.testing.assert_array_equal(found, grades)


def test_watch_over_a_potential_comes_back(tmp_path):
    data = load_dataset("malonaldehyde", "train")
    X, y = data.frames[:30], data.energies[:30]
    watch = FeatureDistance(scaled(AtomicRidge(1e-3)).fit(X, y), random_state=0).fit(X)
    loaded = load(save(watch, tmp_path / "watch.skatom"))
    np.testing.assert_array_equal(loaded.grade(X), watch.grade(X))


# -- what save refuses ------------------------------------------------------------------


@pytest.mark.parametrize("thing", [np.zeros(3), "model", KernelRidge])
def test_only_estimators_are_saved(thing, tmp_path):
    with pytest.raises(TypeError, match="save stores estimators, not"):
        save(thing, tmp_path / "x")


def test_what_cannot_be_stored_is_refused(tmp_path):
    scaler = StandardScaler()
    scaler.stream_ = (i for i in range(3))
    with pytest.raises(TypeError, match="StandardScaler holds something that cannot"):
        save(scaler, tmp_path / "x")
    assert not list(tmp_path.iterdir())


COPPER = [bulk("Cu", a=a) for a in (3.5, 3.55, 3.6, 3.65, 3.7)]
REST = make_pipeline(ACSF(r_cut=4.0), AtomicRidge(forces=None))


@pytest.mark.parametrize(
    "base",
    [EMT(), LennardJones(sigma=2.3, epsilon=np.float32(0.4)), MorsePotential(r0=2.5)],
    ids=lambda base: type(base).__name__,
)
def test_calculators_of_ase_are_kept_as_their_parameters(base, tmp_path):
    model = DeltaRegressor(REST, base).fit(COPPER, np.arange(5.0))
    loaded = load(save(model, tmp_path / "x"))
    np.testing.assert_array_equal(loaded.predict(COPPER), model.predict(COPPER))
    assert loaded.base.parameters == base.parameters
    assert type(loaded.fit(COPPER, np.arange(5.0)).base) is type(base)
    both = loaded.predict_forces(COPPER)[0], model.predict_forces(COPPER)[0]
    np.testing.assert_array_equal(*both)


@pytest.mark.parametrize(
    "holder", [CalculatorRegressor(EMT()), CalculatorRegressor([EMT(), LennardJones()])]
)
def test_lists_of_calculators_are_kept(holder, tmp_path):
    model = holder.fit(COPPER, np.arange(5.0))
    loaded = load(save(model, tmp_path / "x"))
    np.testing.assert_array_equal(loaded.predict(COPPER), model.predict(COPPER))


def test_calculators_that_need_more_than_parameters_are_refused(tmp_path):
    both = SumCalculator([EMT(), LennardJones()])
    for holder, where in (
        (DeltaRegressor(REST, both).fit(COPPER, np.arange(5.0)), "base of Delta"),
        (make_pipeline(DeltaRegressor(REST, ["emt", both])), "base of Delta"),
        (CalculatorRegressor(both), "calculator of Calculator"),
        (GivenCalculator(both), "given of Given"),
    ):
        sentence = rf"{where}.* is the ASE calculator SumCalculator, which a model file"
        with pytest.raises(TypeError, match=sentence):
            save(holder, tmp_path / "x")
    assert not list(tmp_path.iterdir())


def mean_error(y, found):
    return float(np.abs(y - found).mean())


SCORINGS = {
    "name": "neg_mean_absolute_error",
    "ours": neg_energy_mae,
    "made": make_scorer(max_error, greater_is_better=False),
    "with a number": make_scorer(mean_pinball_loss, greater_is_better=False, alpha=0.7),
    "several": {"a": "r2", "b": make_scorer(max_error, greater_is_better=False)},
}


@pytest.mark.parametrize("scoring", SCORINGS.values(), ids=SCORINGS)
def test_searches_load_with_their_scorers(scoring, tmp_path):
    refit = "a" if isinstance(scoring, dict) else True
    search = GridSearchCV(
        REST, {"atomicridge__alpha": [1.0, 2.0]}, scoring=scoring, cv=2, refit=refit
    ).fit(COPPER, np.arange(5.0))
    loaded = load(save(search, tmp_path / "x"))
    expected = search.score(COPPER, np.arange(5.0))
    assert loaded.score(COPPER, np.arange(5.0)) == expected
    assert loaded.fit(COPPER, np.arange(5.0)).best_score_ == search.best_score_


def test_a_metric_of_yours_is_named(tmp_path):
    search = GridSearchCV(REST, {}, scoring=make_scorer(mean_error))
    with pytest.warns(UserWarning, match="holds .*mean_error, which load"):
        path = save(search, tmp_path / "x")
    with pytest.raises(
        ValueError, match=r"mean_error, which load.. does not build unas"
    ):
        load(path)


@pytest.mark.parametrize("stack", [StackingRegressor, VotingRegressor])
def test_stacks_load(stack, tmp_path):
    rows = make_pipeline(ACSF(r_cut=4.0), Pool(), Ridge())
    more = {"cv": 2} if stack is StackingRegressor else {}
    model = stack([("atoms", REST), ("rows", rows)], **more)
    model.fit(COPPER, np.arange(5.0))
    loaded = load(save(model, tmp_path / "x"))
    np.testing.assert_array_equal(loaded.predict(COPPER), model.predict(COPPER))
    named = loaded.named_estimators_
    np.testing.assert_array_equal(
        named["rows"].predict(COPPER), model.named_estimators_.rows.predict(COPPER)
    )
    assert named.rows is named["rows"]


def test_missing_folder_is_an_os_error(model, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no folder .*nowhere to save"):
        save(model, tmp_path / "nowhere" / "model.skatom")


def test_missing_skops_names_the_pip_line(model, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "skops.io", None)
    with pytest.raises(ImportError, match=r'pip install "skatom\[share\]"'):
        save(model, tmp_path / "x")


# -- trust ------------------------------------------------------------------------------


def test_foreign_classes_load_only_when_named(tmp_path, data):
    name = f"{Mean.__module__}.Mean"
    with pytest.warns(UserWarning, match="only when told to"):
        path = save(Mean().fit(*data), tmp_path / "mean.skatom")
    assert read_manifest(path)["other_classes"] == [name]
    with pytest.raises(ValueError, match=rf"names {name}.*nothing was built"):
        load(path)
    with pytest.raises(ValueError, match="nothing was built"):
        load(path, trusted=["some.other.Class"])
    assert load(path, trusted=[name]).mean_ == pytest.approx(data[1].mean())
    assert load(path, trusted=True).mean_ == pytest.approx(data[1].mean())


def test_functions_in_a_file_are_refused(tmp_path):
    with pytest.warns(UserWarning, match=r"os\.remove|posix\.remove"):
        path = save(FunctionTransformer(os.remove), tmp_path / "evil.skatom")
    with pytest.raises(ValueError, match="nothing was built"):
        load(path)


class Bomb:
    def __reduce__(self):
        return (open, ("bomb-went-off", "w"))


def test_pickle_instead_of_a_model_file_does_not_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "evil.skatom"
    path.write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(ValueError, match=r"is a pickle.*runs code"):
        load(path, trusted=True)
    assert not (tmp_path / "bomb-went-off").exists()


@pytest.mark.parametrize("level", ["outer", "inner"])
def test_pickle_as_a_member_does_not_run(level, path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    bomb = pickle.dumps(Bomb())
    if level == "outer":
        rewrite(path, body=lambda body: bomb)
    else:  # arrays inside the skops body replaced by pickles
        rewrite(path, body=lambda body: replace_arrays(body, bomb))
    with pytest.raises(ValueError, match="damaged or forged, so nothing was built"):
        load(path)
    assert not (tmp_path / "bomb-went-off").exists()


@pytest.mark.parametrize("name", ["../evil.py", "/etc/evil", "extra.bin"])
def test_members_that_do_not_belong_are_refused(name, path):
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(name, b"x")
    with pytest.raises(ValueError, match=rf"holds '{name}'.*refused"):
        load(path)


def test_doubled_members_are_refused(path):
    with (
        zipfile.ZipFile(path, "a") as archive,
        pytest.warns(UserWarning, match="Duplicate name"),
    ):
        archive.writestr("manifest.json", b"{}")
    with pytest.raises(ValueError, match="refused"):
        load(path)


def test_repacked_archives_are_refused(path):
    rewrite(path, compression=zipfile.ZIP_DEFLATED)
    with pytest.raises(ValueError, match="was repacked"):
        load(path)


# -- damage -----------------------------------------------------------------------------


def test_missing_file(tmp_path):
    with pytest.raises(
        FileNotFoundError, match=r"There is no model file .*none\.skatom"
    ):
        load(tmp_path / "none.skatom")


@pytest.mark.parametrize("content", [b"", b"hello", b"\x89HDF\r\n"])
def test_other_files_are_not_model_files(content, tmp_path):
    path = tmp_path / "x.skatom"
    path.write_bytes(content)
    with pytest.raises(ValueError, match="not a skatom model file"):
        load(path)


def test_other_archives_are_not_model_files(tmp_path):
    path = tmp_path / "x.skatom"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("manifest.json", json.dumps({"format": "other"}))
    with pytest.raises(ValueError, match=r"archive without estimator\.skops"):
        load(path)


@pytest.mark.parametrize("text", [b"not json", b"[]", b'{"format": "other"}'])
def test_other_manifests_are_refused(text, path):
    rewrite(path, manifest=lambda _: text)
    with pytest.raises(ValueError, match=r"manifest of .* is not that of a skatom"):
        load(path)


def test_truncation_anywhere_is_a_sentence(path):
    whole = path.read_bytes()
    for size in np.linspace(1, len(whole) - 1, 60).astype(int):
        path.write_bytes(whole[:size])
        with pytest.raises(ValueError, match=r"truncated or damaged|not a skatom"):
            load(path)


def test_flipped_bits_never_load_something_else(path, model, data):
    whole = path.read_bytes()
    expected = model.predict(data[0])
    rng = np.random.default_rng(0)
    # the last bytes are the directory, where damage is most confusing
    places = np.r_[rng.integers(0, len(whole), 150), len(whole) - 1 - np.arange(200)]
    refused = 0
    for place in places:
        damaged = bytearray(whole)
        damaged[place] ^= 1 << rng.integers(8)
        path.write_bytes(damaged)
        try:
            loaded = load(path)
        except ValueError:
            refused += 1
        else:  # a time stamp, or another byte without meaning
            np.testing.assert_array_equal(loaded.predict(data[0]), expected)
    assert refused > 150


def test_altered_estimator_is_refused(path):
    def alter(body):
        return body + b"\0"

    rewrite(path, body=alter, keep_checksum=True)
    with pytest.raises(ValueError, match=r"was altered.*checksum"):
        load(path)


def test_newer_format_is_named(path):
    def newer(manifest):
        manifest["format_version"] = 99
        manifest["versions"]["skatom"] = "9.0"
        return json.dumps(manifest).encode()

    rewrite(path, manifest=newer)
    with pytest.raises(ValueError, match=r"format version 99, written by skatom 9\.0"):
        load(path)


def test_other_versions_are_named(path, model):
    def older(manifest):
        manifest["versions"]["scikit-learn"] = "1.2.0"
        return json.dumps(manifest).encode()

    rewrite(path, manifest=older)
    with pytest.warns(UserWarning, match=r"written with scikit-learn 1\.2\.0 \(here"):
        load(path)


# -- atomic writing ---------------------------------------------------------------------


def test_full_disk_leaves_the_old_file(path, model, data, monkeypatch):
    before = path.read_bytes()

    def full(handle):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(_atomic_files.os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        save(clone(model).fit(*data), path)
    assert path.read_bytes() == before
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_a_kill_at_any_moment_leaves_a_whole_file(path, data):
    endless = (
        "import sys; from skatom.persistence import load, save\n"
        "model = load(sys.argv[1])\n"
        "print('ready', flush=True)\n"
        "while True: save(model, sys.argv[1])\n"
    )
    expected = load(path).predict(data[0])
    writer = subprocess.Popen(
        [sys.executable, "-c", endless, str(path)], stdout=subprocess.PIPE
    )
    try:
        assert writer.stdout.readline() == b"ready\n"
        time.sleep(0.05)  # some ten files into the loop
    finally:
        writer.send_signal(signal.SIGKILL)
        writer.wait()
        writer.stdout.close()
    np.testing.assert_array_equal(load(path).predict(data[0]), expected)


def test_two_writers_leave_one_whole_file(path, model, data):
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: save(model, path), range(12)))
    assert [p.name for p in path.parent.iterdir()] == [path.name]
    load(path)


# -- helpers ----------------------------------------------------------------------------


def rewrite(
    path,
    *,
    manifest=None,
    body=None,
    keep_checksum=False,
    compression=zipfile.ZIP_STORED,
):
    """Write an archive again with a member changed, checksums made right unless kept."""
    with zipfile.ZipFile(path) as archive:
        header = json.loads(archive.read("manifest.json"))
        content = archive.read("estimator.skops")
    if body is not None:
        content = body(content)
        if not keep_checksum:
            checksum = hashlib.sha256(content).hexdigest()
            header["members"]["estimator.skops"]["sha256"] = checksum
    text = manifest(header) if manifest else json.dumps(header).encode()
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr("manifest.json", text)
        archive.writestr("estimator.skops", content)


def replace_arrays(body, content):
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(body)) as old, zipfile.ZipFile(out, "w") as new:
        for name in old.namelist():
            array = name.endswith(".npy")
            new.writestr(name, content if array else old.read(name))
    return out.getvalue()
