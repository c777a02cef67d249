"""An image of a user's own is looked up in its registry, pinned to a digest, or a finding says what to do."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from builders import NOW, a_push, a_ref, a_repository, a_run, a_spec
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from registry_fake import ZSTD_LAYER, FakeRegistry, layer, registry_fake
from unit.validation.git_rig import GitServer

from trainyard.hosts.contract import HostUnavailableError
from trainyard.model.image import PinnedImage
from trainyard.model.registry_login import RegistryCredentials, RegistryLogin
from trainyard.model.request import RunRequest
from trainyard.model.run import Origin, RunState
from trainyard.model.settings import settings
from trainyard.registries.contract import OCI_INDEX, OCI_MANIFEST, ImageMissingError, Manifest, Readable, Registry
from trainyard.registries.registry import registry
from trainyard.store import State, layout
from trainyard.store.registry_logins import keep_registry_credentials
from trainyard.validation.images import faults
from trainyard.validation.images.pinning import ImagePinner, ImagePinning, registries_for
from trainyard.validation.push import validate_push
from trainyard.validation.request import validate_run
from trainyard.validation.snapshot import MemorySnapshot
from trainyard.validation.view import RunView

LAYERS = [layer({"usr/bin/python3": b"an interpreter"}), layer({"opt/more": b"more"})]
SNAPSHOT = MemorySnapshot({"train.py": "print('training')\n"})


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeRegistry]:
    monkeypatch.setattr("trainyard.hosts.requests._pause", lambda *_: 0.0)
    with registry_fake() as fake:
        monkeypatch.setenv("TRAINYARD_ALLOW_LOOPBACK_HTTP", "true")
        monkeypatch.setenv("TRAINYARD_ALLOWED_IMAGE_REGISTRIES", f"{fake.host}/team, ghcr.io/team")
        settings.cache_clear()
        yield fake
    settings.cache_clear()


def pinned(image: str, **changes: Any) -> ImagePinning:
    return ImagePinner(registry).pin(
        RunView.of_request(SNAPSHOT, "lenet5", a_spec(framework="", image=image, output=False, **changes))
    )


def refused(image: str) -> tuple[str, str, str]:
    """Rule, message and what to do, in English."""
    done = pinned(image)
    assert done.image is None
    (finding,) = done.findings
    assert finding.field == "image"
    assert finding.message.zh
    assert finding.fix.zh
    return finding.rule, finding.message.en, finding.fix.en


@pytest.mark.parametrize("indexed", [True, False])
def test_a_tag_becomes_a_digest_and_layers(fake: FakeRegistry, indexed: bool) -> None:
    environment = {"PATH": "/opt/bin:/usr/bin", "EMPTY": "", "EQUALS": "a=b"}
    platforms = ("linux/arm64", "linux/amd64") if indexed else ("linux/amd64",)
    digest = fake.push("team/train", "v1", LAYERS, indexed=indexed, platforms=platforms, environment=environment)
    done = pinned(f"{fake.host}/team/train:v1")
    assert done.findings == []
    assert done.image is not None
    assert done.spec.image == done.image.reference == f"{fake.host}/team/train:v1@{digest}"
    assert [one.size for one in done.image.layers] == [len(one) for one in LAYERS]
    assert done.image.environment == environment
    assert (done.image.manifest == digest) is not indexed
    fake.push("team/train", "v1", [LAYERS[0]])
    assert pinned(done.spec.image).image == done.image


def test_without_an_image_nobody_is_asked(fake: FakeRegistry) -> None:
    view = RunView.of_request(SNAPSHOT, "lenet5", a_spec())
    assert ImagePinner(registry).pin(view) == ImagePinning(a_spec())
    assert fake.received == []


def test_registries_that_nobody_allowed_are_never_asked(fake: FakeRegistry, monkeypatch: pytest.MonkeyPatch) -> None:
    fake.push("other/train", "v1", LAYERS)
    rule, message, fix = refused(f"{fake.host}/other/train:v1")
    assert rule == "image-registry"
    assert f"{fake.host}/other/train" in message
    assert f"{fake.host}/team, ghcr.io/team" in fix
    monkeypatch.delenv("TRAINYARD_ALLOWED_IMAGE_REGISTRIES")
    settings.cache_clear()
    rule, _, fix = refused(f"{fake.host}/team/train:v1")
    assert (rule, "AllowedImageRegistries" in fix) == ("image-registry", True)
    assert fake.received == []


def test_images_that_are_not_there_or_private(fake: FakeRegistry) -> None:
    fake.push("team/train", "v1", LAYERS)
    fake.push("team/secret", "v1", LAYERS)
    fake.private.add("team/secret")
    for name in ("team/train:v2", "team/other:v1", "team/secret:v1", "team/train@sha256:" + "0" * 64):
        assert refused(f"{fake.host}/{name}")[0] == "image-missing"


def test_a_registry_that_leads_into_a_house(fake: FakeRegistry) -> None:
    fake.push("team/train", "v1", LAYERS)
    fake.realm = "https://169.254.169.254/token"
    rule, message, _ = refused(f"{fake.host}/team/train:v1")
    assert (rule, "do not go" in message) == ("image-missing", True)


@pytest.mark.parametrize("indexed", [True, False])
def test_another_architecture(fake: FakeRegistry, indexed: bool) -> None:
    platforms = ("linux/arm64", "windows/amd64") if indexed else ("linux/arm64",)
    fake.push("team/train", "v1", LAYERS, platforms=platforms, indexed=indexed)
    rule, message, fix = refused(f"{fake.host}/team/train:v1")
    assert rule == "image-unusable"
    assert "is made for " + ", ".join(platforms) in message
    assert "--platform linux/amd64" in fix


def test_layers_that_nobody_here_can_unpack(fake: FakeRegistry, monkeypatch: pytest.MonkeyPatch) -> None:
    fake.push("team/train", "zstd", LAYERS, layer_kind=ZSTD_LAYER)
    assert pinned(f"{fake.host}/team/train:zstd").image is not None
    fake.push("team/train", "model", LAYERS, layer_kind="application/vnd.cncf.model.weight.v1.tar")
    assert "model.weight" in refused(f"{fake.host}/team/train:model")[1]
    fake.push("team/train", "v1", LAYERS)
    monkeypatch.setattr(faults, "MAX_BYTES", 10)
    rule, message, _ = refused(f"{fake.host}/team/train:v1")
    assert (rule, "is the most" in message) == ("image-unusable", True)


def test_what_is_no_image(fake: FakeRegistry) -> None:
    fake.tags["team/train", "v1"] = fake.keep(b'{"schemaVersion": 2}', OCI_MANIFEST)["digest"]
    fake.tags["team/train", "v2"] = fake.keep(b"{", OCI_INDEX)["digest"]
    for tag in ("v1", "v2"):
        assert refused(f"{fake.host}/team/train:{tag}")[0] == "image-unusable"


def test_a_registry_that_is_away_is_asked_again_later(fake: FakeRegistry) -> None:
    fake.push("team/train", "v1", LAYERS)
    fake.fails = [503] * 3
    with pytest.raises(HostUnavailableError):
        pinned(f"{fake.host}/team/train:v1")
    assert pinned(f"{fake.host}/team/train:v1").image is not None


class Hostile(Registry):
    """Whatever is asked, the same documents."""

    def __init__(self, manifest: bytes, config: bytes, kind: str) -> None:
        self._manifest, self._config, self._kind = manifest, config, kind

    def manifest(self, repository: str, reference: str) -> Manifest:
        return Manifest("sha256:" + "0" * 64, self._kind, self._manifest)

    def blob(self, repository: str, digest: str) -> Any:
        raise ImageMissingError


class Known(Hostile):
    def blob(self, repository: str, digest: str) -> Any:
        from contextlib import nullcontext
        from io import BytesIO

        content: Readable = BytesIO(self._config)
        return nullcontext(content)


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=10) | st.just("sha256:" + "0" * 64),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["config", "layers", "manifests", "digest", "size", "mediaType", "platform", "os", "Env"]),
            inner,
        )
    ),
    max_leaves=12,
)
documents = values.map(lambda value: json.dumps(value).encode()) | st.binary(max_size=40)


@given(
    documents, documents, st.sampled_from([OCI_INDEX, OCI_MANIFEST, "", "text/html"]), st.sampled_from([Hostile, Known])
)
@hypothesis_settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_a_registry_answers_is_an_image_or_a_finding(
    fake: FakeRegistry, manifest: bytes, config: bytes, kind: str, hostile: type[Hostile]
) -> None:
    spec = a_spec(framework="", image="ghcr.io/team/train:v1")
    view = RunView.of_request(SNAPSHOT, "lenet5", spec)
    try:
        done = ImagePinner(lambda _: hostile(manifest, config, kind)).pin(view)
    except HostUnavailableError:
        return  # the config has another digest than the manifest says
    assert (done.image is None) == bool(done.findings)


RUN_FILE = """\
runs:
  lenet5:
    boot_file: train.py
    image: HOST/team/train:v1
    flavor: cpu
    output: false
"""


def test_a_push_is_pinned_and_a_run_again_uses_the_same(
    state: State, git_server: GitServer, fake: FakeRegistry
) -> None:
    digest = fake.push("team/train", "v1", LAYERS)
    state.table.create_repository(a_repository("demo/lenet5", clone_url=git_server.url("demo/lenet5")))
    files = {"trainyard.yaml": RUN_FILE.replace("HOST", fake.host), "train.py": "import torch\n"}
    commit = git_server.repository("demo/lenet5").commit(files)
    push = a_push(commit=commit)
    state.table.create_push(push, a_ref(push))
    (run,) = validate_push(state, push.id)
    assert run.state is RunState.ADMITTED, state.objects.get(layout.findings_key(run.id))
    assert run.spec is not None
    assert run.spec.image == f"{fake.host}/team/train:v1@{digest}"
    first = image_of(state, run.id)
    assert first.reference == run.spec.image

    fake.push("team/train", "v1", [LAYERS[0]])
    again = a_run("run-2", origin=Origin.FORM, spec=run.spec, commit=commit, rerun_of=run.id)
    state.table.create_run(again)
    decided = validate_run(state, again.id)
    assert decided is not None
    assert decided.state is RunState.ADMITTED
    assert image_of(state, again.id) == first


def test_the_runs_of_a_push_ask_once_for_their_image(state: State, git_server: GitServer, fake: FakeRegistry) -> None:
    digest = fake.push("team/train", "v1", LAYERS)
    state.table.create_repository(a_repository("demo/lenet5", clone_url=git_server.url("demo/lenet5")))
    first = RUN_FILE.replace("HOST", fake.host)
    runs = first + "".join(first.replace("runs:\n", "").replace("lenet5:", f"{name}:") for name in ("b", "c"))
    missing = first.replace("runs:\n", "").replace(":v1", ":v2")
    runs += "".join(missing.replace("lenet5:", f"{name}:") for name in ("d", "e"))
    commit = git_server.repository("demo/lenet5").commit({"trainyard.yaml": runs, "train.py": "print(1)\n"})
    push = a_push(commit=commit)
    state.table.create_push(push, a_ref(push))
    decided = validate_push(state, push.id)
    assert [run.state for run in decided] == [RunState.ADMITTED] * 3 + [RunState.REJECTED] * 2
    assert {run.spec.image for run in decided[:3] if run.spec} == {f"{fake.host}/team/train:v1@{digest}"}
    asked = [path.rpartition("/")[2] for _, path, headers in fake.received if "/manifests/v" in path]
    # Each a second time with the token that the registry wants.
    assert asked == ["v1", "v1", "v2", "v2"]


PASSWORD = "p4ss word"


def keep_login(state: State, fake: FakeRegistry, **changes: str) -> None:
    login = RegistryLogin(registry=fake.host, username="robot", created_by="demo", created_at=NOW)
    state.table.create_repository(a_repository("demo/lenet5", registries=[login]))
    credentials = RegistryCredentials(**{"username": "robot", "password": PASSWORD, **changes})
    keep_registry_credentials(state.secrets, "demo/lenet5", fake.host, credentials)


def as_project(state: State, project: str, image: str) -> ImagePinning:
    view = RunView.of_request(SNAPSHOT, "lenet5", a_spec(framework="", image=image, output=False))
    return ImagePinner(registries_for(state, project)).pin(view)


@pytest.mark.parametrize("basic", [False, True])
def test_a_project_s_login_opens_its_private_images(state: State, fake: FakeRegistry, basic: bool) -> None:
    digest = fake.push("team/secret", "v1", LAYERS)
    fake.private.add("team/secret")
    fake.login, fake.basic = ("robot", PASSWORD), basic
    keep_login(state, fake)
    state.table.create_repository(a_repository("eve/other"))
    image = f"{fake.host}/team/secret:v1"
    assert as_project(state, "demo/lenet5", image).spec.image == f"{image}@{digest}"
    for other in ("eve/other", "nobody/none"):
        (finding,) = as_project(state, other, image).findings
        assert (finding.rule, "registries add" in finding.fix.en) == ("image-missing", True)


@pytest.mark.parametrize("basic", [False, True])
def test_a_login_that_opens_nothing(state: State, fake: FakeRegistry, basic: bool) -> None:
    fake.push("team/secret", "v1", LAYERS)
    fake.private.add("team/secret")
    fake.login, fake.basic = ("robot", "another"), basic
    keep_login(state, fake)
    (finding,) = as_project(state, "demo/lenet5", f"{fake.host}/team/secret:v1").findings
    assert (finding.rule, "does not open" in finding.message.en) == ("image-missing", True)
    assert PASSWORD not in finding.model_dump_json()


def test_a_registry_that_wants_the_password_sent_elsewhere(state: State, fake: FakeRegistry) -> None:
    fake.push("team/secret", "v1", LAYERS)
    fake.realm = f"http://localhost:{fake.host.partition(':')[2]}/token?via=test"
    keep_login(state, fake)
    (finding,) = as_project(state, "demo/lenet5", f"{fake.host}/team/secret:v1").findings
    assert "token_host" in finding.message.en
    assert [path for _, path, _ in fake.received] == ["/v2/team/secret/manifests/v1"]


@pytest.mark.parametrize(
    ("platforms", "chosen"),
    [
        (("linux/arm64/v8", "linux/amd64/v3", "linux/amd64"), 2),
        (("linux/amd64/v3", "linux/amd64/v2"), 1),
        (("unknown/unknown", "linux/amd64/v3"), 1),
        (("linux/arm64", ""), 1),
    ],
)
def test_of_several_platforms_the_one_that_every_machine_here_runs(
    fake: FakeRegistry, platforms: tuple[str, ...], chosen: int
) -> None:
    fake.push("team/train", "v1", LAYERS, platforms=platforms)
    index = json.loads(fake.contents[fake.tags["team/train", "v1"]])
    done = pinned(f"{fake.host}/team/train:v1")
    assert done.image is not None, done.findings
    assert done.image.manifest == index["manifests"][chosen]["digest"]


def test_an_index_of_processors_that_not_every_machine_has(fake: FakeRegistry) -> None:
    fake.push("team/train", "v1", LAYERS, platforms=("linux/amd64/v4",))
    assert refused(f"{fake.host}/team/train:v1")[0] == "image-unusable"


def image_of(state: State, run_id: str) -> PinnedImage:
    image = RunRequest.model_validate_json(state.objects.get(layout.request_key(run_id))).image
    assert image is not None
    return image
