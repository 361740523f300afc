"""The service under test and its providers: standard library only, so that any Python image can run it."""
