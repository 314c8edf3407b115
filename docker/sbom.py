"""Write what an installation is made of as a software bill of materials: CycloneDX 1.6, in JSON.

    python docker/sbom.py FILE

Run it with the Python that everything is installed into; the Dockerfile does. Listed are the Python distributions, by
their own metadata, with whatever was built into them, as far as a distribution says so itself (PEP 770; the libraries
inside a portable wheel of Caffe are among these, by auditwheel); Caffe's source with its sha256; and the packages that
dpkg knows. The same installation gives the same bytes, so there is no date in it.
"""

import argparse
import json
import platform
import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from urllib.parse import quote

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "pycaffe"))
import source

COPIED = ("type", "name", "version", "purl", "hashes", "licenses")


def licenses(facts):
    """What a distribution's metadata says of its licence, in CycloneDX's form; an empty list where it says nothing."""
    if facts.get("License-Expression"):
        return [{"expression": facts["License-Expression"]}]
    prefix = "License :: "
    named = [line.rpartition(" :: ")[2] for line in facts.get_all("Classifier", []) if line.startswith(prefix)]
    text = facts.get("License") or ""
    if not named and text and "\n" not in text:  # some put the whole text there
        named = [text]
    return [{"license": {"name": name}} for name in named]


def normalised(name):
    """A distribution's name as the package index spells it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def bundled(distribution):
    """The components that a distribution's own bills of materials list, each once, without the distribution."""
    found = {}
    own = f"pkg:pypi/{normalised(distribution.metadata['Name'])}"
    for file in distribution.files or ():
        if file.parent.name == "sboms" and file.name.endswith((".cdx.json", ".cyclonedx.json")):
            for component in json.loads(file.read_text(encoding="utf-8")).get("components", ()):
                kept = {field: component[field] for field in COPIED if field in component}
                if normalised(kept.get("purl", "").partition("@")[0]) != own:
                    found.setdefault(kept.get("purl") or (kept["name"], kept.get("version")), kept)
    return list(found.values())


def caffe():
    """Caffe's source, which the wheel of Caffe is built from."""
    return {
        "type": "library",
        "name": "caffe",
        "version": source.VERSION,
        "description": f"BVLC Caffe 1.0: {source.FILE_NAME}",
        "hashes": [{"alg": "SHA-256", "content": source.SHA256}],
        "licenses": [{"license": {"id": "BSD-2-Clause"}}],
        "purl": f"pkg:deb/debian/caffe@{quote(source.VERSION)}?arch=source",
    }


def python_components():
    """The installed distributions, by name."""
    found = {}
    for distribution in metadata.distributions():
        facts = distribution.metadata
        name, version = facts["Name"], distribution.version
        normal = normalised(name)
        inside = bundled(distribution) + ([caffe()] if normal == "deepdream-pycaffe" else [])
        component = {"type": "library", "name": name, "version": version, "purl": f"pkg:pypi/{normal}@{quote(version)}"}
        if licenses(facts):
            component["licenses"] = licenses(facts)
        if inside:
            component["components"] = inside
        found.setdefault(normal, component)  # the first on the path is the one that is imported
    return [found[name] for name in sorted(found)]


def debian_components():
    """The installed Debian packages; none where there is no dpkg."""
    form = "${db:Status-Status} ${Package} ${Version} ${Architecture}\n"
    try:
        listed = subprocess.run(["dpkg-query", "-W", "-f", form], stdout=subprocess.PIPE, text=True, check=True).stdout
    except FileNotFoundError:
        return []
    system = platform.freedesktop_os_release() if hasattr(platform, "freedesktop_os_release") else {"ID": "debian"}
    distro = f"&distro={system['ID']}-{system['VERSION_ID']}" if "VERSION_ID" in system else ""
    components = []
    for line in sorted(listed.splitlines()):
        status, name, version, architecture = line.split()
        if status == "installed":
            purl = f"pkg:deb/{system['ID']}/{quote(name)}@{quote(version)}?arch={architecture}{distro}"
            components.append({"type": "library", "name": name, "version": version, "purl": purl})
    return components


def numbered(components, prefix="component"):
    """The components and those inside them, each with a reference of its own, as CycloneDX asks."""
    for number, component in enumerate(components, 1):
        component["bom-ref"] = f"{prefix}-{number}"
        numbered(component.get("components", ()), component["bom-ref"])
    return components


def bill():
    """The bill of materials of this installation."""
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "component": {
                "type": "container",
                "bom-ref": "deepdream",
                "name": "deepdream",
                "version": metadata.version("deepdream-caffe"),
            }
        },
        "components": numbered(python_components() + debian_components()),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", type=Path, metavar="FILE")
    file = parser.parse_args().file
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(bill(), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
