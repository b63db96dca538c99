"""The invented world and its checkpoints: ordinary model folders whose behaviour is known exactly."""
