"""The probe: frames from interfaces, files and pipes, and the flows they make."""
