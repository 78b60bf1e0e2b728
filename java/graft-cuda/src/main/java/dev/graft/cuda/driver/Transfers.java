package dev.graft.cuda.driver;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_FLOAT_UNALIGNED;
import static java.lang.foreign.ValueLayout.JAVA_INT_UNALIGNED;
import static java.lang.foreign.ValueLayout.JAVA_LONG_UNALIGNED;

import dev.graft.engine.EngineFailure;
import dev.graft.tensor.BFloat16;
import dev.graft.tensor.DType;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * Copies between host and device, through pinned memory in pieces. To the device nothing waits for the GPU: the bytes are in
 * pinned memory when a call returns. From the device the host waits for all work.
 */
public final class Transfers {
    private final Jcuda.Stream stream;
    private final Staging staging;

    Transfers(Jcuda.Stream stream, Staging staging) {
        this.stream = stream;
        this.staging = staging;
    }

    /** Bytes that go through pinned memory at a time. */
    public long pieceBytes() {
        return staging.capacity();
    }

    /** Numbers as F32 or BF16, back to back. */
    public void upload(float[] source, long device, DType dtype) {
        int piece = (int) Math.min(source.length, staging.capacity() / dtype.byteSize());
        for (int from = 0; from < source.length; from += piece) {
            int count = Math.min(piece, source.length - from);
            MemorySegment pinned = staging.acquire();
            if (dtype == DType.F32) {
                MemorySegment.copy(source, from, pinned, JAVA_FLOAT_UNALIGNED, 0, count);
            } else {
                for (int i = 0; i < count; i++) {
                    pinned.set(ValueLayout.JAVA_SHORT_UNALIGNED, 2L * i, BFloat16.fromFloat(source[from + i]));
                }
            }
            send(device + (long) from * dtype.byteSize(), (long) count * dtype.byteSize());
        }
    }

    /** Integers, back to back. */
    public void upload(int[] source, long device) {
        int piece = (int) Math.min(source.length, staging.capacity() / 4);
        for (int from = 0; from < source.length; from += piece) {
            int count = Math.min(piece, source.length - from);
            MemorySegment.copy(source, from, staging.acquire(), JAVA_INT_UNALIGNED, 0, count);
            send(device + 4L * from, 4L * count);
        }
    }

    private void send(long device, long bytes) {
        Jcuda.copyToDevice(device, staging.address(), bytes, stream);
        staging.handOver();
    }

    /** {@code rows} rows of {@code rowBytes} from back-to-back memory to rows {@code pitch} bytes apart; together at most a piece. */
    public void uploadRows(MemorySegment source, long sourceOffset, long device, long pitch, long rowBytes, long rows) {
        MemorySegment.copy(source, JAVA_BYTE, sourceOffset, staging.acquire(), JAVA_BYTE, 0, rowBytes * rows);
        Jcuda.copyRowsToDevice(device, pitch, staging.address(), rowBytes, rows, stream);
        staging.handOver();
    }

    /** Receives a piece of a download: {@code bytes} bytes of it, the first of them byte {@code offset} of the whole. */
    @FunctionalInterface
    public interface Receiver {
        void accept(MemorySegment pinned, long offset, long bytes);
    }

    /**
     * Rows {@code pitch} bytes apart, handed over back to back, a piece at a time.
     *
     * @throws EngineFailure where a kernel before it failed
     */
    public void download(long device, long pitch, long rowBytes, long rows, Receiver receiver) {
        if (pitch == rowBytes || rows == 1) {
            downloadRun(device, 0, rowBytes * rows, receiver);
        } else if (rowBytes > staging.capacity()) {
            for (long row = 0; row < rows; row++) {
                downloadRun(device + row * pitch, row * rowBytes, rowBytes, receiver);
            }
        } else {
            long piece = staging.capacity() / rowBytes;
            for (long from = 0; from < rows; from += piece) {
                long count = Math.min(piece, rows - from);
                MemorySegment pinned = staging.acquire();
                Jcuda.copyRowsToHost(staging.address(), device + from * pitch, pitch, rowBytes, count, stream);
                Jcuda.synchronize(stream);
                receiver.accept(pinned, from * rowBytes, count * rowBytes);
            }
        }
    }

    private void downloadRun(long device, long offset, long bytes, Receiver receiver) {
        for (long from = 0; from < bytes; from += staging.capacity()) {
            long count = Math.min(staging.capacity(), bytes - from);
            MemorySegment pinned = staging.acquire();
            Jcuda.copyToHost(staging.address(), device + from, count, stream);
            Jcuda.synchronize(stream);
            receiver.accept(pinned, offset + from, count);
        }
    }

    /** One 64-bit number. */
    public long downloadLong(long device) {
        long[] value = new long[1];
        download(device, 8, 8, 1, (pinned, offset, bytes) -> value[0] = pinned.get(JAVA_LONG_UNALIGNED, 0));
        return value[0];
    }
}
