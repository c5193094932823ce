# Serve one model: docker build -t handful . && docker run --rm -p 8000:8000 \
#   -e HANDFUL_TOKEN=... -v "$PWD/model.handful:/model.handful:ro" handful
FROM python:3.12-slim AS build
WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY src ./src
RUN python -m venv /opt/handful \
    && /opt/handful/bin/pip install --no-cache-dir .

FROM python:3.12-slim
RUN useradd --uid 10001 --create-home handful
COPY --from=build /opt/handful /opt/handful
ENV PATH="/opt/handful/bin:$PATH" \
    PYTHONUNBUFFERED=1
USER 10001
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=5s --start-period=20s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/health', timeout=4)"]
ENTRYPOINT ["handful"]
CMD ["serve", "/model.handful", "--host", "0.0.0.0", "--port", "8000"]
