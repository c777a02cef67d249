import functools


def moxing_wrapper(pre_process=None, post_process=None):
    def wrapper(run_func):
        @functools.wraps(run_func)
        def wrapped_func(*args, **kwargs):
            try:
                import moxing as mox
            except ImportError:
                mox = None
            return run_func(*args, **kwargs)
        return wrapped_func
    return wrapper
