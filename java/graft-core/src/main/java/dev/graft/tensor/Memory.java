package dev.graft.tensor;

/**
 * A range of bytes that belongs to one engine: host memory on the CPU, device memory on a GPU. What lies behind it is known
 * only to that engine. Closing frees it where it owns anything; closing twice does no harm.
 */
public interface Memory extends AutoCloseable {
    long byteSize();

    @Override
    void close();
}
