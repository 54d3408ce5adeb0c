"""The conformance checks as a pytest class."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from asrlab.testing.conformance.check import Check
from asrlab.testing.conformance.session import CHECKS, ConformanceSession
from asrlab.testing.conformance.target import Target


class TranscriberConformance:
    """The requirements for any transcriber, as tests. Inherit from this class and name the model.

    ::

        import pytest
        from asrlab.testing import Target, TranscriberConformance


        class TestMyEngine(TranscriberConformance):
            @pytest.fixture
            def target(self):
                return Target(model="my-engine/small")

    Each check is a test, ``test_conforms[NAME]``. The model is loaded once for each different target of a class.
    """

    @pytest.fixture
    def target(self) -> Target:
        """Return the model to check; subclasses override this fixture."""
        pytest.fail(
            f"{type(self).__name__} needs a fixture 'target' that returns an asrlab.testing.Target", pytrace=False
        )

    @pytest.fixture(scope="class")
    @classmethod
    def conformance_sessions(cls) -> Iterator[dict[Target, ConformanceSession]]:
        """Yield the sessions of this class by target; close them after the last test."""
        sessions: dict[Target, ConformanceSession] = {}
        yield sessions
        for session in sessions.values():
            session.close()

    @pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.name)
    def test_conforms(
        self, check: Check, target: Target, conformance_sessions: dict[Target, ConformanceSession]
    ) -> None:
        """Require that the transcriber meets one requirement."""
        if target not in conformance_sessions:
            conformance_sessions[target] = ConformanceSession(target)
        result = conformance_sessions[target].run(check)
        if result.outcome == "skipped":
            pytest.skip(result.messages[0])
        if result.outcome == "failed":
            lines = "".join(f"\n- {problem}" for problem in result.messages)
            pytest.fail(f"{target}: {check.name}: {check.description}{lines}", pytrace=False)
