"""torch.compile in training: where it is taken, where it is left, and what stays as it was."""

from functools import partial

import pytest
import torch
from torch._dynamo.backends.common import aot_autograd
from torch._dynamo.testing import CompileCounterWithBackend

from stgcn_pyg import STGCN
from stgcn_pyg.errors import UserError
from stgcn_pyg.runs.training import STGCNTraining
from stgcn_pyg.runs.training.compiled import CompiledForward

pytestmark = pytest.mark.usefixtures("shapes_unchecked", "narrow_backbone")


def network():
    torch.manual_seed(0)
    return STGCN(
        5,
        2,
        "resnet18",
        weights=None,
        spatial_channels=16,
        temporal_patches=2,
        spatial_patches=2,
    )


@pytest.fixture
def compilations(monkeypatch):
    """Counts them; the graph is followed as on a GPU, but no code is made of it."""
    torch.compiler.reset()
    counter = CompileCounterWithBackend("aot_eager")
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend=counter))
    return counter


def clips(count=4):
    return torch.randn(count, 2, 3, 32, 16, generator=torch.Generator().manual_seed(2))


def gradients_of(run, model):
    output = run(clips())
    (output.logits.square().sum() + output.features["temporal"].sum()).backward()
    return output.embedding, [p.grad for p in model.parameters()], list(model.buffers())


def test_compiled_it_trains_the_same_and_its_weights_keep_their_names(compilations):
    plain, compiled = network(), network()
    expected = gradients_of(plain, plain)
    run = partial(CompiledForward("on"), compiled)
    found = gradients_of(run, compiled)
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-3)
    gradients_of(run, compiled)
    assert compilations.frame_count == 1
    assert list(compiled.state_dict()) == list(plain.state_dict())


def test_on_a_cpu_auto_does_not_compile(compilations):
    model = network()
    CompiledForward("auto")(model, clips())
    CompiledForward("off")(model, clips())
    assert compilations.frame_count == 0


def test_the_module_has_no_weights_of_other_names():
    model = network()
    expected = [f"model.{name}" for name in model.state_dict()]
    assert list(STGCNTraining(model, compile="on").state_dict()) == expected


def broken(*_, **__):
    raise RuntimeError("no compiler here\nand much more about it")


def test_auto_tries_on_a_gpu_alone():
    tried = {
        (compile, device): CompiledForward(compile).compiles_on(torch.device(device))
        for compile in ("auto", "on", "off")
        for device in ("cpu", "cuda")
    }
    assert [pair for pair, tries in tried.items() if tries] == [
        ("auto", "cuda"),
        ("on", "cpu"),
        ("on", "cuda"),
    ]


def test_where_it_fails_auto_goes_on_without_and_says_so_once(monkeypatch, recwarn):
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend=broken))
    monkeypatch.setattr(CompiledForward, "compiles_on", lambda *_: True)  # as if this were a GPU
    model = network().eval()
    run = partial(CompiledForward("auto"), model)
    with pytest.warns(UserWarning) as told:
        output = run(clips())
    (warning,) = [str(w.message) for w in told if "cannot be compiled" in str(w.message)]
    assert "no compiler here" in warning and "\n" not in warning
    assert "--training.compile off" in warning
    assert torch.equal(output.logits, model(clips()).logits)
    recwarn.clear()
    run(clips())
    assert not [w for w in recwarn if "cannot be compiled" in str(w.message)]


@pytest.mark.slow
def test_where_it_fails_on_is_a_users_error(monkeypatch):
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend=broken))
    with pytest.raises(UserError, match=r"^--training.compile on: .*no compiler here.*pass off$"):
        CompiledForward("on")(network(), clips())


def forward_only():
    """A compiler of forward passes whose backward passes fail, whenever it comes to them."""

    def fails(graph, inputs):
        raise RuntimeError("no kernel for this backward")

    return aot_autograd(fw_compiler=lambda graph, inputs: graph.forward, bw_compiler=fails)


def test_where_the_backward_fails_auto_trains_on_without(monkeypatch):
    torch.compiler.reset()
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend=forward_only()))
    monkeypatch.setattr(CompiledForward, "compiles_on", lambda *_: True)  # as if this were a GPU
    plain, compiled = network(), network()
    expected = gradients_of(plain, plain)
    forward = CompiledForward("auto")
    with pytest.warns(UserWarning, match="cannot be compiled here.*no kernel for this backward"):
        found = gradients_of(partial(forward, compiled), compiled)
    torch.testing.assert_close(found, expected)  # the running statistics as well: nothing ran twice
    assert not forward.compiled


@pytest.mark.slow
def test_where_the_backward_fails_on_is_a_users_error(monkeypatch):
    torch.compiler.reset()
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend=forward_only()))
    with pytest.raises(UserError, match=r"compile on: .*no kernel for this backward.*pass off$"):
        CompiledForward("on")(network(), clips())


@pytest.mark.slow
def test_a_failure_at_a_later_batch_of_another_size_is_told_as_well(monkeypatch):
    torch.compiler.reset()
    calls = []

    def second_fails(graph, inputs):
        calls.append(graph)
        if len(calls) > 1:
            raise RuntimeError("no kernel for this size")
        return graph.forward

    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend=second_fails))
    monkeypatch.setattr(CompiledForward, "compiles_on", lambda *_: True)
    model, forward = network().eval(), CompiledForward("auto")
    with torch.no_grad():
        forward(model, clips(4))
        assert forward.compiled
        with pytest.warns(UserWarning, match="no kernel for this size"):
            output = forward(model, clips(3))
        assert torch.equal(output.logits, model(clips(3)).logits)
    assert not forward.compiled


def test_too_little_memory_is_not_taken_for_a_compiler_that_fails(monkeypatch):
    def full(*_, **__):
        def run(*_):
            raise torch.OutOfMemoryError("CUDA out of memory.")

        return run

    monkeypatch.setattr(torch, "compile", full)
    with pytest.raises(torch.OutOfMemoryError):
        CompiledForward("on")(network(), clips())


def test_another_network_in_the_same_module_is_the_one_that_runs():
    run, models = CompiledForward("off"), (network().eval(), network().eval())
    models[1].classifier.bias.data.fill_(7)
    found = [run(model, clips()).logits for model in models]
    assert torch.equal(found[0], models[0](clips()).logits)
    assert torch.equal(found[1], models[1](clips()).logits)
