"""`python -m service serve`, for environments that hold the service and nothing else."""

from service.commands import main

if __name__ == "__main__":
    main()
