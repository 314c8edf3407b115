"""docker/sbom.py: what the image is made of, as a CycloneDX document."""

import importlib.util
import json
import re
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SCRIPT = ROOT / "docker" / "sbom.py"
PLACE = "/usr/share/doc/deepdream/sbom.cdx.json"

if not SCRIPT.is_file():
    pytest.skip("only in a checkout", allow_module_level=True)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """The document of this very environment, as the script writes it."""
    file = tmp_path_factory.mktemp("sbom") / "new folder" / "sbom.cdx.json"
    subprocess.run([sys.executable, str(SCRIPT), str(file)], check=True)
    return file


@pytest.fixture
def sbom(monkeypatch):
    monkeypatch.setattr(sys, "path", [*sys.path])  # it puts pycaffe/ on it
    spec = importlib.util.spec_from_file_location("sbom_under_test", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def everything(components):
    """The components and all that is inside them."""
    for component in components:
        yield component
        yield from everything(component.get("components", ()))


def faults(bill):
    """What CycloneDX 1.6 requires of the fields that are used and does not find."""
    found = [f"{key}" for key, value in (("bomFormat", "CycloneDX"), ("specVersion", "1.6")) if bill.get(key) != value]
    if not isinstance(bill.get("version"), int) or bill["version"] < 1:
        found.append("version")
    components = [bill["metadata"]["component"], *everything(bill["components"])]
    references = [component.get("bom-ref") for component in components]
    if len(set(references)) != len(references) or not all(references):
        found.append("bom-ref")
    types = {"library", "container", "application", "framework", "operating-system", "file", "data", "firmware"}
    for component in components:
        name = component.get("name")
        if component.get("type") not in types or not isinstance(name, str) or not name:
            found.append(f"{name}: type or name")
        if not isinstance(component.get("version", ""), str):
            found.append(f"{name}: version")
        if not re.fullmatch(r"pkg:[a-z]+/[^\s@]+(@[^\s@]+)?", component.get("purl", "pkg:a/b")):
            found.append(f"{name}: purl {component['purl']}")
        for digest in component.get("hashes", ()):
            if not re.fullmatch(r"[0-9a-f]{32,128}", digest["content"]) or not digest["alg"]:
                found.append(f"{name}: hash")
        licenses = component.get("licenses", [{"expression": "MIT"}])
        expressions = [each for each in licenses if each.keys() & {"expression"}]
        if expressions and len(licenses) != 1:
            found.append(f"{name}: an expression beside other licences")
        for each in licenses:
            if "expression" not in each and each["license"].keys() & {"id", "name"} not in ({"id"}, {"name"}):
                found.append(f"{name}: licence")
    return found


def test_it_is_a_cyclonedx_document(written):
    assert faults(json.loads(written.read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize(
    "change",
    [
        lambda bill: bill.update(specVersion="1"),
        lambda bill: bill.pop("version"),
        lambda bill: bill["components"][0].pop("name"),
        lambda bill: bill["components"][0].update(type="thing"),
        lambda bill: bill["components"][0].update({"bom-ref": bill["components"][1]["bom-ref"]}),
        lambda bill: bill["components"][0].update(purl="a package"),
        lambda bill: bill["components"][0].update(licenses=[{"expression": "MIT"}, {"expression": "MIT"}]),
        lambda bill: bill["components"][0].update(licenses=[{"license": {}}]),
    ],
)
def test_a_fault_in_a_document_is_noticed(written, change):
    bill = json.loads(written.read_text(encoding="utf-8"))
    change(bill)
    assert len(faults(bill)) == 1


def test_every_installed_distribution_is_listed_with_its_version(written):
    listed = {
        (component["name"], component["version"])
        for component in json.loads(written.read_text(encoding="utf-8"))["components"]
        if component["purl"].startswith("pkg:pypi/")
    }
    # In a process of its own, as the script's is: tests put folders of theirs on the path.
    code = "from importlib.metadata import distributions as d; print('\\n'.join(x.metadata['Name'] for x in d()))"
    names = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert {name for name, _ in listed} == set(names)
    assert ("numpy", metadata.version("numpy")) in listed


@pytest.mark.skipif(not shutil.which("dpkg-query"), reason="not Debian")
def test_debians_packages_are_listed(written):
    purls = [each["purl"] for each in json.loads(written.read_text(encoding="utf-8"))["components"]]
    done = subprocess.run(["dpkg-query", "-W", "-f", "${Version}", "libc6"], capture_output=True, text=True, check=True)
    version = done.stdout.replace("+", "%2B").replace(":", "%3A")
    assert any(re.match(rf"pkg:deb/\w+/libc6@{re.escape(version)}\?arch=", purl) for purl in purls)


def test_without_dpkg_none_are(sbom, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert sbom.debian_components() == []


def test_the_same_installation_gives_the_same_bytes(written, tmp_path):
    subprocess.run([sys.executable, str(SCRIPT), str(tmp_path / "again.json")], check=True)
    assert (tmp_path / "again.json").read_bytes() == written.read_bytes()


def installed(folder, name, facts="", bill=None):
    """A distribution's metadata in `folder`, with a bill of materials of its own."""
    info = folder / f"{name.replace('-', '_')}-1.0.dist-info"
    (info / "sboms").mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.4\nName: {name}\nVersion: 1.0\n{facts}", encoding="utf-8")
    record = [f"{info.name}/METADATA,,"]
    if bill:
        (info / "sboms" / "auditwheel.cdx.json").write_text(json.dumps(bill), encoding="utf-8")
        record.append(f"{info.name}/sboms/auditwheel.cdx.json,,")
    (info / "RECORD").write_text("\n".join(record), encoding="utf-8")
    return metadata.PathDistribution(info)


def test_caffe_is_listed_with_its_source_and_the_libraries_inside_its_wheel(sbom, monkeypatch, tmp_path):
    own = {"type": "library", "name": "deepdream_pycaffe", "purl": "pkg:pypi/deepdream_pycaffe@1.0?file_name=x.whl"}
    blas = {"type": "library", "bom-ref": "1", "name": "libopenblas0", "version": "0.3", "purl": "pkg:deb/debian/b@0.3"}
    caffe = installed(tmp_path, "deepdream-pycaffe", bill={"components": [own, blas, blas]})
    monkeypatch.setattr(sbom.metadata, "distributions", lambda: [caffe])
    (component,) = sbom.numbered(sbom.python_components())
    assert [each["name"] for each in component["components"]] == ["libopenblas0", "caffe"]
    source = component["components"][1]
    assert source["hashes"] == [{"alg": "SHA-256", "content": sbom.source.SHA256}]
    assert sbom.source.VERSION.replace("+", "%2B") in source["purl"]
    assert [each["bom-ref"] for each in component["components"]] == ["component-1-1", "component-1-2"]


@pytest.mark.parametrize(
    "facts, licenses",
    [
        ("License-Expression: MIT OR Apache-2.0\nLicense: other\n", [{"expression": "MIT OR Apache-2.0"}]),
        ("Classifier: License :: OSI Approved :: MIT License\n", [{"license": {"name": "MIT License"}}]),
        ("License: BSD\nClassifier: Topic :: Games\n", [{"license": {"name": "BSD"}}]),
        ("License: A text\n  of many lines\n", None),
        ("", None),
    ],
)
def test_licences_are_as_the_metadata_has_them(sbom, monkeypatch, tmp_path, facts, licenses):
    thing = installed(tmp_path, "Thing.A_b", facts)
    monkeypatch.setattr(sbom.metadata, "distributions", lambda: [thing])
    (component,) = sbom.python_components()
    assert component.get("licenses") == licenses
    assert component["purl"] == "pkg:pypi/thing-a-b@1.0"


def test_the_image_has_it_in_its_place():
    commands = (ROOT / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ")
    (image,) = re.findall(r"AS image\n(.*)", commands, re.DOTALL)
    installs = image.index("pip install")
    assert installs < image.index(f"docker/sbom.py {PLACE}")
    assert PLACE in (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
