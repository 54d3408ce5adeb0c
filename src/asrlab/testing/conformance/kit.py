"""The checks as a pytest class."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from asrlab.testing.conformance.check import Check
from asrlab.testing.conformance.checks import CHECKS
from asrlab.testing.conformance.session import ConformanceSession
from asrlab.testing.conformance.target import Target


class TranscriberConformance:
    """What any transcriber must keep to. Inherit from it and say which model is meant.

    ::

        import pytest
        from asrlab.testing import Subject, TranscriberConformance


        class TestMyEngine(TranscriberConformance):
            @pytest.fixture
            def subject(self):
                return Subject(model="my-engine/small")

    Each check is a test, ``test_conforms[NAME]``. The model is loaded once for each different subject of a class.
    """

    @pytest.fixture
    def subject(self) -> Target:
        """What is to be checked; written by whoever inherits."""
        pytest.fail(
            f"{type(self).__name__} needs a fixture 'subject' that returns an asrlab.testing.Target", pytrace=False
        )

    @pytest.fixture(scope="class")
    @classmethod
    def examinations(cls) -> Iterator[dict[Target, ConformanceSession]]:
        """Those of this class, for each different subject; closed after the last test."""
        held: dict[Target, ConformanceSession] = {}
        yield held
        for each in held.values():
            each.close()

    @pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.name)
    def test_conforms(self, check: Check, subject: Target, examinations: dict[Target, ConformanceSession]) -> None:
        """The transcriber keeps to what asrlab's users may rely on."""
        if subject not in examinations:
            examinations[subject] = ConformanceSession(subject)
        verdict = examinations[subject].verdict(check)
        if verdict.outcome == "skipped":
            pytest.skip(verdict.told[0])
        if verdict.outcome == "failed":
            lines = "".join(f"\n- {problem}" for problem in verdict.told)
            pytest.fail(f"{subject}: {check.name}: {check.sentence}{lines}", pytrace=False)
