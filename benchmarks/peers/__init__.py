"""triton_bench beside other load generators, on this machine: `make peers`."""
