"""The container's entry point: make code, inputs and packages ready, run the script, keep what it leaves."""
