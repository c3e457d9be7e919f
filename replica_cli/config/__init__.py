"""Configuration: makes frozen settings from options, the environment, `.env` and a configuration file.

`loading` is the entrance. `declarations` has every setting; the modules that need it load the validation library, and
workers load none of them.
"""
