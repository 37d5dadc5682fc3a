"""The local cloud: the AWS emulator `ministack` with the gaps closed that Signalbox's tests would fall into."""
