"""The web server: its application and socket; the page is ``results/templates/serve.html``."""
