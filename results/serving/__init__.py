"""The rooms of the server: the application, and the page in ``results/templates/serve.html``."""
