"""The real Triton Inference Server on this machine: started, proven, watched and stopped."""
