"""Files whose checksums are right and whose content is not: one sentence, no crash."""

import io
import json
import zipfile

import numpy as np
import pytest
import scipy.sparse
from forging import forge, forge_schema, write_body, write_forged
from sklearn.base import BaseEstimator, clone
from sklearn.cluster import KMeans
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, SVR
from sklearn.tree import DecisionTreeRegressor

from skatom._runtime.state import StateError, refuse_unlike
from skatom.base import AtomFeaturizer
from skatom.models import AtomicGaussianProcessRegressor, AtomicRidge, SchNetRegressor
from skatom.persistence import load, save
from skatom.persistence._states import check_states
from skatom.potential import make_potential
from skatom.structures._samples import check_frames, with_labels
from skatom.testing import all_estimators

FRAMES = check_frames()
FORGED = "damaged or forged"
FEATURIZERS = {
    name: cls for name, cls in all_estimators() if issubclass(cls, AtomFeaturizer)
}


def refused(path, match=FORGED):
    with pytest.raises(ValueError, match=match) as caught:
        load(path, trusted=True)
    text = str(caught.value)
    assert "allow_pickle" not in text
    assert "\n" not in text


def with_arrays(path, change):
    """Change every array of a model file."""

    def changed(members):
        for name, content in members.items():
            if name.endswith(".npy"):
                out = io.BytesIO()
                np.save(out, change(np.load(io.BytesIO(content))))
                members[name] = out.getvalue()

    forge(path, changed)


@pytest.fixture
def path(tmp_path):
    return save(StandardScaler().fit(np.eye(3)), tmp_path / "model.skatom")


# -- sizes that compiled code trusts ---------------------------------------------------


@pytest.mark.parametrize("name", FEATURIZERS)
def test_a_featurizer_with_another_attribute_is_refused(name, tmp_path):
    """Whatever fitted attribute is changed, sizes, indices and numbers alike."""
    fitted = FEATURIZERS[name]().fit(FRAMES)
    assert load(save(fitted, tmp_path / "sound")).species_ == fitted.species_
    learned = [
        key
        for key in vars(fitted)
        if key not in (*fitted._parameters, "_parameters", "fitted_on_")
    ]
    assert len(learned) > 6
    for key in learned:
        for value in (1, np.zeros(1), (1,) * 40):
            forged = FEATURIZERS[name]()
            vars(forged).update({**vars(fitted), key: value})
            with pytest.raises((ValueError, TypeError)):
                check_states(forged)
    fitted.n_atom_features_ = 1
    refused(save(fitted, tmp_path / "forged"), "n_atom_features_ is not what")


def test_parameters_set_after_the_fit_are_no_forgery(tmp_path):
    fitted = FEATURIZERS["SOAP"]().fit(FRAMES)
    expected = fitted.transform(FRAMES).values
    fitted.set_params(n_max=3, r_cut=2.0)
    loaded = load(save(fitted, tmp_path / "later"))
    assert loaded.n_max == 3
    np.testing.assert_array_equal(loaded.transform(FRAMES).values, expected)


def test_values_are_alike_but_for_rounding():
    refuse_unlike({"a": (1.0, [np.ones(3)])}, {"a": (1.0 + 1e-9, [np.ones(3)])}, "a")
    for found, expected in [
        (np.ones(3), np.ones(4)),
        (np.ones(3), np.ones(3, dtype=int)),
        (np.ones(3), np.r_[1.0, 1.0, 1.1]),
        (np.arange(3), np.array([0, 1, 3])),
        ([1], (1,)),
        ((1,), (1, 2)),
        ({"a": 1}, {"b": 1}),
        (1, 2),
        (1.0, 1.1),
        (None, 1.0),
        (np.r_[1.0, np.nan], np.ones(2)),
    ]:
        with pytest.raises(StateError, match="name is not what"):
            refuse_unlike(found, expected, "name")


@pytest.fixture(scope="module")
def process():
    model = make_potential(
        FEATURIZERS["ACSF"](r_cut=3.0, n_radial=3, g4=None),
        AtomicGaussianProcessRegressor(optimizer=None),
    )
    frames = with_labels(FRAMES)
    return model.fit(frames, [atoms.get_potential_energy() for atoms in frames])


def spoiled(name, change):
    """Change one array of every species, in place where it lies in the model."""

    def spoil(kind):
        value = getattr(kind, name).copy()
        object.__setattr__(kind, name, change(value))

    return spoil


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("targets", lambda a: a + 10**6),
        ("targets", lambda a: a - 10**6),
        ("targets", lambda a: a.astype(float)),
        ("targets", list),
        ("starts", lambda a: a + 1),
        ("starts", lambda a: a[::-1]),
        ("starts", lambda a: a[:-1]),
        ("place", lambda a: a + 10**6),
        ("structures", lambda a: a[::-1] + 1),
        ("structures", lambda a: a + 10**6),
        ("rows", lambda a: a[:, :-1]),
        ("rows", lambda a: a[:-1]),
        ("rows", lambda a: a * np.nan),
        ("points", lambda a: a[:-1]),
        ("points", lambda a: a.astype(np.float32)),
    ],
)
def test_rows_of_a_process_that_lead_outside_are_refused(
    process, name, change, tmp_path
):
    path = save(process, tmp_path / "model.skatom")
    loaded = load(path)
    model = loaded.steps[-1][1]
    kinds = [kind for f in functions_of(model) for kind in f.kinds]
    spoiled(name, change)(kinds[0])
    refused(save(loaded, path), "do not fit together")


@pytest.mark.parametrize(
    ("name", "value"), [("n_derivatives", 1.0), ("offsets", np.arange(3))]
)
def test_observables_that_contradict_their_structures_are_refused(
    process, name, value, tmp_path
):
    loaded = load(save(process, tmp_path / "model.skatom"))
    (functions,) = functions_of(loaded.steps[-1][1])
    object.__setattr__(functions, name, value)
    refused(save(loaded, tmp_path / "model.skatom"), "observables do not fit")


def functions_of(model):
    """Observables inside a Gaussian process."""
    waiting, found = [model], []
    while waiting:
        one = waiting.pop()
        if getattr(one, "_name", "") == "observables":
            found.append(one)
        elif hasattr(one, "__dict__"):
            waiting += vars(one).values()
        elif isinstance(one, list | tuple):
            waiting += one
    return found


# -- what other packages read without looking ------------------------------------------


def holding(value):
    return Holder().set(value)


class Holder(BaseEstimator):
    def set(self, value):
        self.value_ = value
        return self


def test_a_sparse_matrix_with_wild_indices_is_refused():
    for kind in (scipy.sparse.csr_array, scipy.sparse.coo_array):
        matrix = kind(np.eye(3))
        check_states(holding([{"x": matrix}]))
        (matrix.indices if matrix.format == "csr" else matrix.coords[0])[0] = 10**6
        with pytest.raises(StateError, match="a sparse matrix contradicts itself"):
            check_states(holding([{"x": matrix}]))
    check_states(holding(scipy.sparse.dia_array(np.eye(3))))
    with pytest.raises(StateError, match=r"contradicts itself \(format lil\)"):
        check_states(holding(scipy.sparse.lil_array(np.eye(3))))


def test_a_random_state_beyond_its_words_is_refused():
    for place in (-1, 10**6):
        state = np.random.RandomState(0).get_state(legacy=False)
        state["state"]["pos"] = place
        forged = np.random.RandomState()
        forged.set_state(state)
        with pytest.raises(StateError, match="a random state has no such place"):
            check_states(holding(np.array([forged, None], dtype=object)))
    check_states(holding(np.random.RandomState(0)))
    check_states(holding(np.random.RandomState(np.random.PCG64(0))))


def test_centres_of_clusters_of_other_features_are_refused():
    clusters = KMeans(2, n_init=1, random_state=0).fit(np.eye(4))
    check_states(clusters)
    clusters.cluster_centers_ = clusters.cluster_centers_[:, :1]
    with pytest.raises(StateError, match=r"have shape \(2, 1\), and there are 4 feat"):
        check_states(clusters)


SUPPORT = [
    ("support_vectors_", lambda m: m.support_vectors_[:, :1]),
    ("_dual_coef_", lambda m: m._dual_coef_[:, :1]),
    ("_n_support", lambda m: m._n_support * 1000),
    ("_n_support", lambda m: -m._n_support),
    ("support_", lambda m: m.support_ + 1000),
    ("support_", lambda m: m.support_[:1]),
    ("shape_fit_", lambda m: (m.shape_fit_[0], 1000)),
    ("_intercept_", lambda m: m._intercept_[:0]),
    ("_impl", lambda m: "one_class"),
]


@pytest.mark.parametrize(("name", "value"), SUPPORT)
@pytest.mark.parametrize("kind", [SVR, SVC])
def test_support_vectors_that_do_not_fit_are_refused(kind, name, value):
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(20, 3)), np.arange(20) // 7
    machine = kind()
    check_states(machine)
    check_states(machine.fit(X, y))
    check_states(kind(kernel="precomputed").fit(X @ X.T, y))
    setattr(machine, name, value(machine))
    with pytest.raises(StateError, match="support vectors and their coefficients"):
        check_states(machine)


@pytest.mark.parametrize("field", ["left_child", "right_child", "feature"])
@pytest.mark.parametrize("value", [0, -5, 10**6])
def test_trees_with_wild_nodes_are_refused(field, value):
    tree = DecisionTreeRegressor().fit(np.arange(8.0)[:, None], np.arange(8.0))
    check_states(tree)
    state = tree.tree_.__getstate__()
    state["nodes"] = state["nodes"].copy()
    state["nodes"][field][0] = value
    if (field, value) == ("feature", 0):
        return  # the only feature that there is
    tree.tree_.__setstate__(state)
    with pytest.raises(StateError, match="the nodes of a tree do not make one"):
        check_states(tree)


# -- bombs -----------------------------------------------------------------------------


def test_files_that_are_mostly_zeros_are_stored_so_that_they_load(tmp_path):
    scaler = StandardScaler().fit(np.eye(3))
    scaler.extra_ = np.zeros(10**6)
    loaded = load(save(scaler, tmp_path / "zeros"))
    assert not loaded.extra_.any()


def test_a_member_that_unpacks_to_too_much_is_refused(path):
    forge(path, lambda members: members.update({"bomb.bin": bytes(10**7)}))
    refused(path, "'bomb.bin' would unpack to 10000000 bytes from .* 100 times as much")


def test_a_bomb_inside_a_sparse_matrix_is_refused(path):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as inner:
        inner.writestr("data.npy", bytes(10**7))
    forge(path, lambda members: members.update({"x.npz": out.getvalue()}))
    refused(path, "'data.npy' would unpack to")


def test_members_that_overlap_are_refused(path):
    with zipfile.ZipFile(path) as archive:
        body = archive.read("estimator.skops")
    start = body.index(b"PK\x01\x02")
    entry = body[start : body.index(b"PK", start + 4)]
    size = 46 + int.from_bytes(entry[28:30], "little")
    end = bytearray(body[body.index(b"PK\x05\x06") :])
    n = 2000
    end[8:10] = end[10:12] = n.to_bytes(2, "little")
    end[12:16] = (n * size).to_bytes(4, "little")
    write_body(path, body[:start] + entry[:size] * n + bytes(end))
    refused(path, "its members overlap")


def test_an_array_that_announces_more_than_it_holds_is_refused(path):
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {"descr": "<f8", "fortran_order": False, "shape": (10**12,)}
    )

    def grow(members):
        name = next(name for name in members if name.endswith(".npy"))
        members[name] = header.getvalue() + bytes(24)

    forge(path, grow)
    refused(path, r"announced as an array of float64 with shape \(1000000000000,\)")


@pytest.mark.parametrize("content", [b"", b"\x93NUMPY\x01\x00\x05\x00{{{{{", b"x" * 99])
def test_an_array_that_is_none_is_refused(path, content):
    def spoil(members):
        members.update({n: content for n in members if n.endswith(".npy")})

    forge(path, spoil)
    refused(path, "does not begin as an array")


def test_an_array_of_objects_is_refused(path):
    out = io.BytesIO()
    np.save(out, np.array([None]), allow_pickle=True)

    def spoil(members):
        members.update({n: out.getvalue() for n in members if n.endswith(".npy")})

    forge(path, spoil)
    refused(path, "announced as an array of object")


# -- trees of objects ------------------------------------------------------------------


def test_a_file_without_its_tree_is_refused(path):
    write_forged(path, {"other.bin": b"x"})
    refused(path, r"it has no schema\.json")


@pytest.mark.parametrize("text", ["[", "null", "[1]", '{"a": Infinity}', "\xff"])
def test_a_tree_that_is_no_json_of_skops_is_refused(path, text):
    forge(path, lambda members: members.update({"schema.json": text.encode("latin1")}))
    refused(path)


def test_a_tree_that_is_too_deep_is_refused(path):
    deep = b"[" * 2000 + b"]" * 2000
    forge(path, lambda members: members.update({"schema.json": deep}))
    refused(path, "nested too deeply")


def test_references_that_unfold_without_end_are_refused(path):
    def node(content, key):
        return {
            "__class__": "list",
            "__module__": "builtins",
            "__loader__": "ListNode",
            "content": content,
            "__id__": key,
        }

    def laugh(schema):
        inner = node([], 1)
        for k in range(2, 30):
            inner = node([inner] + [node([], k - 1)] * 9, k)
        schema["content"]["content"]["copy"] = inner

    forge_schema(path, laugh)
    refused(path, "refer to each other too often")


@pytest.mark.parametrize("value", ["null", "Infinity", "-1", '"text"', "[[]]", "{}"])
def test_other_json_in_place_of_every_value_is_one_sentence_or_loads(path, value):
    """Where it loads, the value is one that a scaler may have."""
    with zipfile.ZipFile(path) as archive:
        whole = archive.read("estimator.skops")

    def places(node, found):
        for key in node if isinstance(node, dict) else range(len(node)):
            found.append((node, key))
            if isinstance(node[key], dict | list):
                places(node[key], found)
        return found

    def count(schema):
        nonlocal n
        n = len(places(schema, []))

    n, said = 0, []
    forge_schema(path, count)
    for k in range(len(value) % 3, n, 3):
        write_body(path, whole)

        def spoil(schema, k=k):
            node, key = places(schema, [])[k]
            node[key] = json.loads(value)

        forge(path, lambda members: spoil_text(members, spoil))
        try:
            load(path, trusted=True)
        except (ValueError, ImportError) as error:
            said.append(str(error))
    sentences = FORGED, "in place of an estimator", "not installed here"
    assert len(said) > 10
    for text in said:
        assert any(one in text for one in sentences), text
        assert "allow_pickle" not in text


def spoil_text(members, spoil):
    schema = json.loads(members["schema.json"])
    spoil(schema)
    members["schema.json"] = json.dumps(schema).encode()


def test_what_is_no_estimator_is_refused(path):
    def change(schema):
        schema.update(
            {
                "__class__": "str",
                "__module__": "builtins",
                "__loader__": "JsonNode",
                "content": '"text"',
            }
        )

    forge_schema(path, change)
    refused(path, "holds str in place of an estimator")


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("numbers_", np.array([8, 1]), "in ascending order"),
        ("numbers_", np.array([1, 1, 8]), "in ascending order"),
        ("numbers_", np.array([1.0, 8.0]), "in ascending order"),
        ("numbers_", [1, 8], "in ascending order"),
        ("baseline_", np.zeros(1), "one number for each"),
    ],
)
def test_elements_that_do_not_fit_are_refused(process, name, value, message):
    model = clone(process[-1])
    vars(model).update({**vars(process[-1]), name: value})
    with pytest.raises(StateError, match=message):
        check_states(model)


@pytest.mark.parametrize(
    ("name", "value"), [("coef_", np.zeros((1, 2))), ("intercept_", np.zeros(9))]
)
def test_coefficients_of_other_elements_are_refused(name, value):
    frames = with_labels(FRAMES)
    y = [atoms.get_potential_energy() for atoms in frames]
    features = FEATURIZERS["ACSF"](r_cut=3.0, n_radial=3, g4=None)
    model = make_potential(features, AtomicRidge(forces=None)).fit(frames, y)
    check_states(model)
    vars(model[-1])[name] = value
    with pytest.raises(StateError, match="coefficients are not those of the elem"):
        check_states(model)


def test_elements_of_a_network_that_do_not_fit_are_refused():
    network = SchNetRegressor()
    network.numbers_, network.baseline_ = np.array([1.0, 8.0]), np.zeros((2, 3))
    with pytest.raises(StateError, match="in ascending order"):
        check_states(network)
    network.numbers_ = np.array([1, 8])
    check_states(network)
