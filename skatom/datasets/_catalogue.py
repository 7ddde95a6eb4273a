"""The data sets that come with the package, one record each."""

from __future__ import annotations

from skatom.datasets._record import DatasetFile, DatasetRecord

_ENERGY_AND_FORCES = {"positions": "Å", "energy": "eV", "forces": "eV/Å"}

MALONALDEHYDE = DatasetRecord(
    name="malonaldehyde",
    title="Malonaldehyde at 500 K, revised MD17, official split 1",
    description=(
        "Snapshots of a molecular dynamics run of one molecule (C3H4O2) whose energies "
        "and forces were recomputed with tight settings. Train and test share no "
        "structure. The authors advise against training on more than 1000 structures: "
        "they come from one trajectory."
    ),
    source="https://github.com/andersx/rmd17-npz",
    commit="4f6bb0a186822c90d47cd98b7a27991fe0b3173b",
    changes=(
        "Converted from kcal/mol and kcal/mol/Å with 1 kcal/mol = 0.0433641153 eV; "
        "positions and forces kept to eight decimals. info['md17_index'] is the index in "
        "the original MD17 trajectory."
    ),
    licence="CC0-1.0",
    citation=(
        "A. S. Christensen and O. A. von Lilienfeld, Mach. Learn.: Sci. Technol. 1, "
        "045018 (2020)"
    ),
    doi="10.1088/2632-2153/abba6f",
    theory="PBE/def2-SVP",
    units=_ENERGY_AND_FORCES,
    splits={
        "train": DatasetFile(
            "malonaldehyde_train.extxyz.xz",
            1000,
            "412bd825d2aab550326bf7208ba8c37d37bf90edd1872cd90eb12c730c355437",
        ),
        "test": DatasetFile(
            "malonaldehyde_test.extxyz.xz",
            1000,
            "5378f60fe5986ffbc2274b5a18dd619225cca3989de6401736ec1ffb479ec78d",
        ),
    },
)

BPA_300K = DatasetRecord(
    name="3bpa",
    title="3-(benzyloxy)pyridin-2-amine at 300 K, training part",
    description=(
        "Snapshots of a flexible drug-like molecule (C12H12N2O) with three rotatable "
        "bonds. info['dihedrals'] holds their angles in degrees. The published test "
        "parts (300 K to 1200 K and dihedral scans) are not included."
    ),
    source="https://github.com/davkovacs/BOTNet-datasets",
    commit="29e6d467317e4b5967b7ea5cbee54de953fa0d45",
    changes="Positions and forces kept to eight decimals; energies unchanged.",
    licence="MIT",
    citation="D. P. Kovács et al., J. Chem. Theory Comput. 17, 7696 (2021)",
    doi="10.1021/acs.jctc.1c00647",
    theory="wB97X/6-31G(d)",
    units=_ENERGY_AND_FORCES,
    splits={
        "train": DatasetFile(
            "3bpa_train_300K.extxyz.xz",
            500,
            "db24abf10dca0794b028286aeba81633a595b29ecd69752996c49edeba00fb08",
        ),
    },
    isolated_atoms={
        "H": -13.587222780835477,
        "C": -1029.4889999855063,
        "N": -1484.9814568572233,
        "O": -2041.9816003861047,
    },
)

SILICON = DatasetRecord(
    name="silicon",
    title="Silicon of the mlearn benchmark: bulk, strained, vacancy and surface cells",
    description=(
        "Periodic cells of 12 to 96 atoms: snapshots of molecular dynamics from 300 K to "
        "above melting, strained crystals, cells with a vacancy, and surfaces. "
        "info['group'] is AIMD-NVT, Elastic, Vacancy or Surface and serves GroupKFold; "
        "info['description'] says more. Only the strained crystals (Elastic) have stress."
    ),
    source="https://github.com/materialsvirtuallab/mlearn",
    commit="10c427a5480c6281c15c64efaf869b03be04818f",
    changes=(
        "Re-encoded from JSON. The source gives virial stress in kbar without a stated "
        "sign or order. For the strained crystals they were established by work: along "
        "every strain path the energy changes by the integral of minus the stored stress "
        "in the order xx yy zz xy yz xz, to 0.2 % (root-mean-square 0.013 eV in steps of "
        "up to 6.5 eV), which no other sign or order meets; stress is given there, in "
        "ASE's convention. In the other groups the shear components follow another "
        "order, so their stress is left out."
    ),
    licence="BSD-3-Clause",
    citation="Y. Zuo et al., J. Phys. Chem. A 124, 731 (2020)",
    doi="10.1021/acs.jpca.9b08723",
    theory="PBE, plane waves (VASP)",
    units={**_ENERGY_AND_FORCES, "stress": "eV/Å³"},
    splits={
        "train": DatasetFile(
            "silicon_train.extxyz.xz",
            214,
            "c431c6ac93308d1c727d37353406a429ada91bacf4a237c811657abc9869ed38",
        ),
        "test": DatasetFile(
            "silicon_test.extxyz.xz",
            25,
            "9748e850bd840a062f96cafca2fe81385f3869975e8a4ab956d37741a3b23efa",
        ),
    },
)

CATALOGUE = {record.name: record for record in (MALONALDEHYDE, BPA_300K, SILICON)}
