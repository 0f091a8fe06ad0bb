"""junit.xml: the verdict as the first property of the test suite that pytest has written."""

from __future__ import annotations

import contextlib
import re
from pathlib import Path
from xml.etree import ElementTree  # nosec B405  # only a file that the run itself wrote is read

from kubechain.core import files

# Characters that XML does not have, not even escaped.
ILLEGAL = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def add_verdict(file: Path, line: str) -> None:
    """Add the verdict to a file of pytest, if there is one; what is no XML, as on a full disk, stays as it is."""
    with contextlib.suppress(FileNotFoundError, ElementTree.ParseError):
        root = ElementTree.parse(file).getroot()  # noqa: S314  # nosec B314  # the run wrote it
        for suite in root.iter("testsuite"):
            properties = suite.find("properties")
            if properties is None:
                properties = ElementTree.Element("properties")
                suite.insert(0, properties)
            properties.insert(0, ElementTree.Element("property", name="verdict", value=ILLEGAL.sub("?", line)))
        files.write(file, '<?xml version="1.0" encoding="utf-8"?>' + ElementTree.tostring(root, encoding="unicode"))
