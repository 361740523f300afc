import ctypes

LIBC = ctypes.CDLL(None)
LIBC.malloc.restype = ctypes.c_void_p


def step():
    LIBC.malloc(ctypes.c_size_t(5 << 20))
