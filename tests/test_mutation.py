"""Every deliberate mistake in the loss code fails some test; `mutation.py` says how it is done."""

import mutation


def test_every_mutant_is_killed_or_listed_with_its_reason():
    jobs = {name: (tree, checks) for name, tree, checks in mutation.jobs()}
    assert len(jobs) > 250
    assert set(mutation.SURVIVORS) <= set(jobs), "a listed mutant is no longer made"
    alive = [
        name
        for name, (tree, checks) in jobs.items()
        if name not in mutation.SURVIVORS and mutation.killer(tree, checks) is None
    ]
    assert alive == []


def test_the_original_survives():
    """So it is the mistakes that are noticed, and not the way of running them."""
    for path, checks in (
        ("lib/losses.py", mutation.LOSS_CHECKS),
        ("lib/layers.py", mutation.LAYER_CHECKS),
    ):
        source = (mutation.ROOT / path).read_text(encoding="utf-8")
        assert (
            mutation.killer(mutation.ast.parse(source.replace("softmax_to", "m")), checks) is None
        )
