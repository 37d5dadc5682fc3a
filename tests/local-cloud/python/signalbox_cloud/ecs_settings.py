"""What the harness tells of ECS in an account: its images, and how long things take."""

from dataclasses import asdict, dataclass, field, fields


class BadSetting(Exception):
    """A setting that makes no sense; the message names the field."""


@dataclass
class Settings:
    """Seconds, by default as short as they can be: AWS takes ten to thirty of them where these are hundredths."""

    # From RunTask to the start of the containers, half of it in PROVISIONING where there is that.
    startSeconds: float = 0.04
    # From DEPROVISIONING to STOPPED.
    deprovisioningSeconds: float = 0.02
    # From SIGTERM to SIGKILL, at most. A `stopTimeout` that is shorter counts; without one AWS waits for 30 s.
    stopTimeoutSeconds: float = 1.0
    # From a line of output to its being in the log.
    logDelaySeconds: float = 0.0


@dataclass
class Image:
    """What a container of an image runs, as `ENTRYPOINT`, `CMD` and `ENV` of a Dockerfile say."""

    entrypoint: list[str] = field(default_factory=list)
    command: list[str] = field(default_factory=list)
    environment: dict[str, str] = field(default_factory=dict)


_settings: dict[str, Settings] = {}
_images: dict[str, dict[str, Image]] = {}


def of_account(account: str) -> Settings:
    return _settings.setdefault(account, Settings())


def shown(account: str) -> dict:
    return asdict(of_account(account))


def change(account: str, data: dict) -> None:
    """Change the settings that are given."""
    names = {each.name for each in fields(Settings)}
    for name, value in data.items():
        if name not in names:
            raise BadSetting(f"{name}: there is no such field")
        if isinstance(value, bool) or not isinstance(value, (int, float)) or value < 0:
            raise BadSetting(f"{name}: must be a number of seconds")
    for name, value in data.items():
        setattr(of_account(account), name, value)


def add_image(account: str, data: dict) -> None:
    """Register an image, or put another in the place of one of that name."""
    if unknown := data.keys() - {"image", "entrypoint", "command", "environment"}:
        raise BadSetting(f"{min(unknown)}: there is no such field")
    if not isinstance(data.get("image"), str) or not data["image"]:
        raise BadSetting("image: a name is required")
    for name in ("entrypoint", "command"):
        words = data.get(name) or []
        if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
            raise BadSetting(f"{name}: must be a list of strings")
    environment = data.get("environment") or {}
    if not isinstance(environment, dict) or not all(isinstance(value, str) for value in environment.values()):
        raise BadSetting("environment: must be an object of strings")
    image = Image(data.get("entrypoint") or [], data.get("command") or [], environment)
    _images.setdefault(account, {})[with_tag(data["image"])] = image


def remove_images(account: str) -> int:
    return len(_images.pop(account, {}))


def find_image(account: str, name: str) -> Image | None:
    return _images.get(account, {}).get(with_tag(name))


def with_tag(name: str) -> str:
    """The name of an image with its tag, which is `latest` if it has none."""
    return name if "@" in name or ":" in name.rpartition("/")[2] else f"{name}:latest"
