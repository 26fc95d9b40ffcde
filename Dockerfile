# docker build -t litesmith . && docker run -p 127.0.0.1:8501:8501 -v litesmith:/data litesmith
FROM python:3.12-slim

RUN useradd --create-home --uid 10001 litesmith && install -d -o litesmith /data
WORKDIR /app
COPY requirements.txt .
RUN pip install --no-cache-dir -r requirements.txt
COPY --chown=litesmith . .

USER litesmith
ENV LITESMITH_HOME=/data PYTHONUNBUFFERED=1
VOLUME /data
EXPOSE 8501
HEALTHCHECK --interval=30s --timeout=5s --start-period=30s \
    CMD python -c "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8501/_stcore/health', timeout=4)"
# The container's own network is the boundary: publish the port on 127.0.0.1, or behind a proxy that authenticates.
CMD ["python", "-m", "streamlit", "run", "app.py", "--server.address=0.0.0.0"]
