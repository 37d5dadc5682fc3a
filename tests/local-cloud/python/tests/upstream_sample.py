"""Stands for a module of the emulator in the tests of `signalbox_cloud.patching`."""


def greet(name: str) -> str:
    return "Hello, " + name
