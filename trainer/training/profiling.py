"""Profiling of some steps, for TensorBoard's profile page."""

import tensorflow as tf


class Profile:
    """Starts and stops TensorFlow's profiler around the requested steps.

    Args:
        log_dir: receives `plugins/profile/`.
        steps: the first and the last of them, counted from 1 as this process runs them; or None.
    """

    def __init__(self, log_dir: str, steps: tuple[int, int] | None) -> None:
        self._log_dir, self._steps = log_dir, steps
        self._done, self._running = 0, False

    def before(self, count: int) -> None:
        """Starts or stops the profiler as due before the next `count` steps."""
        if self._steps is None:
            return
        first, last = self._steps
        if not self._running and first <= self._done + count and self._done < last:
            tf.profiler.experimental.start(self._log_dir)
            self._running = True
        elif self._running and self._done >= last:
            self.close()
        self._done += count

    def close(self) -> None:
        """Ends a running profile."""
        if self._running:
            tf.profiler.experimental.stop()
            self._running = False
