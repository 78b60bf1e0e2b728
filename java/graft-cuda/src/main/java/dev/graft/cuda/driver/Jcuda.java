package dev.graft.cuda.driver;

import dev.graft.common.InputException;
import dev.graft.engine.EngineFailure;
import dev.graft.tensor.DType;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayDeque;
import java.util.Deque;
import jcuda.Pointer;
import jcuda.cudaDataType;
import jcuda.driver.CUDA_MEMCPY2D;
import jcuda.driver.CUcontext;
import jcuda.driver.CUdevice;
import jcuda.driver.CUdeviceptr;
import jcuda.driver.CUevent;
import jcuda.driver.CUevent_flags;
import jcuda.driver.CUmemAccessDesc;
import jcuda.driver.CUmemAccess_flags;
import jcuda.driver.CUmemAllocationGranularity_flags;
import jcuda.driver.CUmemAllocationProp;
import jcuda.driver.CUmemAllocationType;
import jcuda.driver.CUmemGenericAllocationHandle;
import jcuda.driver.CUmemLocation;
import jcuda.driver.CUmemLocationType;
import jcuda.driver.CUmemorytype;
import jcuda.driver.CUresult;
import jcuda.driver.CUstream;
import jcuda.driver.CUstream_flags;
import jcuda.driver.JCudaDriver;
import jcuda.jcublas.JCublas2;
import jcuda.jcublas.cublasComputeType;
import jcuda.jcublas.cublasGemmAlgo;
import jcuda.jcublas.cublasHandle;
import jcuda.jcublas.cublasMath;
import jcuda.jcublas.cublasOperation;
import jcuda.jcublas.cublasStatus;
import jcuda.runtime.cudaStream_t;
import org.jspecify.annotations.Nullable;

/**
 * The calls of the CUDA driver and of cuBLAS that Graft makes, one method each, through JCuda: addresses are plain {@code long}s,
 * and every status but success becomes a {@link EngineFailure}.
 *
 * <p>cuBLAS stores matrices by columns; callers pass their row-major ones as the transposed.
 */
final class Jcuda {
    static final int COMPUTE_CAPABILITY_MAJOR = 75; // CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR
    static final int COMPUTE_CAPABILITY_MINOR = 76;

    private static final String TEMPORARY_FOLDER = "java.io.tmpdir";
    private static final int OUT_OF_MEMORY = CUresult.CUDA_ERROR_OUT_OF_MEMORY;
    private static final Pointer ONE = Pointer.to(new float[] {1});
    private static final Pointer ZERO = Pointer.to(new float[] {0});

    private Jcuda() {}

    /**
     * Loads JCuda's native libraries. JCuda unpacks them under fixed names into {@code java.io.tmpdir} without a lock, where another
     * process may be writing them and anybody may have put them: while it loads, that is {@code folder}, which has them already.
     */
    static synchronized void load(Path folder) {
        String temporary = System.getProperty(TEMPORARY_FOLDER);
        System.setProperty(TEMPORARY_FOLDER, folder.toString());
        try {
            JCudaDriver.setExceptionsEnabled(false);
            JCublas2.setExceptionsEnabled(false);
        } catch (LinkageError e) {
            throw new EngineFailure("JCuda's libraries cannot be loaded: "
                    + e.getMessage().lines().findFirst().orElse(""));
        } finally {
            System.setProperty(TEMPORARY_FOLDER, temporary);
        }
    }

    // ---- handles: JCuda's objects, with their addresses made visible

    /** A queue of work on the device. */
    static final class Stream extends CUstream {
        /** For the kernel library. */
        long address() {
            return getNativePointer();
        }
    }

    /** A point in a stream. */
    static final class Event extends CUevent {}

    /** A cuBLAS context. */
    static final class Blas extends cublasHandle {}

    /** A device and its primary context. */
    static final class Context {
        private final int ordinal;
        private final CUdevice device = new CUdevice();
        private final CUcontext context = new CUcontext();

        private Context(int ordinal) {
            this.ordinal = ordinal;
        }
    }

    private static final class DeviceAddress extends CUdeviceptr {
        DeviceAddress() {}

        DeviceAddress(long address) {
            super(new CUdeviceptr(), address);
        }

        long address() {
            return getNativePointer() + getByteOffset();
        }
    }

    private static final class HostAddress extends Pointer {
        HostAddress() {}

        HostAddress(long address) {
            super(address);
        }

        long address() {
            return getNativePointer();
        }
    }

    // ---- device and context

    /**
     * Initialises the driver, after {@link #load}, and retains the primary context of device {@code ordinal}.
     *
     * @throws InputException where there is no such device
     */
    static Context retainContext(int ordinal) {
        check("cuInit", JCudaDriver.cuInit(0));
        Context context = new Context(ordinal);
        int status = JCudaDriver.cuDeviceGet(context.device, ordinal);
        if (status == CUresult.CUDA_ERROR_INVALID_DEVICE) {
            throw new InputException("-Dgraft.cuda.device=" + ordinal
                    + ": there is no such GPU; they count from 0, see nvidia-smi --list-gpus");
        }
        check("cuDeviceGet", status);
        check("cuDevicePrimaryCtxRetain", JCudaDriver.cuDevicePrimaryCtxRetain(context.context, context.device));
        return context;
    }

    static void releaseContext(Context context) {
        check("cuDevicePrimaryCtxRelease", JCudaDriver.cuDevicePrimaryCtxRelease(context.device));
    }

    /** Makes it this thread's context. */
    static void makeCurrent(Context context) {
        check("cuCtxSetCurrent", JCudaDriver.cuCtxSetCurrent(context.context));
    }

    static String deviceName(Context context) {
        byte[] name = new byte[256];
        check("cuDeviceGetName", JCudaDriver.cuDeviceGetName(name, name.length, context.device));
        int length = 0;
        while (length < name.length && name[length] != 0) {
            length++;
        }
        return new String(name, 0, length, StandardCharsets.US_ASCII);
    }

    static int attribute(Context context, int attribute) {
        int[] value = new int[1];
        check("cuDeviceGetAttribute", JCudaDriver.cuDeviceGetAttribute(value, attribute, context.device));
        return value[0];
    }

    /** The newest CUDA that the driver knows: 13000 for 13.0. */
    static int driverVersion() {
        int[] version = new int[1];
        check("cuDriverGetVersion", JCudaDriver.cuDriverGetVersion(version));
        return version[0];
    }

    /** Bytes of device memory that are free. */
    static long freeBytes() {
        long[] free = new long[1];
        check("cuMemGetInfo", JCudaDriver.cuMemGetInfo(free, new long[1]));
        return free[0];
    }

    // ---- memory

    /** Device memory, or 0 where there is not enough. */
    static long allocate(long bytes) {
        DeviceAddress address = new DeviceAddress();
        int status = JCudaDriver.cuMemAlloc(address, bytes);
        if (status == OUT_OF_MEMORY) {
            return 0;
        }
        check("cuMemAlloc", status);
        return address.address();
    }

    static void free(long address) {
        check("cuMemFree", JCudaDriver.cuMemFree(new DeviceAddress(address)));
    }

    /** Host memory that the device copies from and to by itself, or 0 where there is not enough. */
    static long allocatePinned(long bytes) {
        HostAddress address = new HostAddress();
        int status = JCudaDriver.cuMemHostAlloc(address, bytes, 0);
        if (status == OUT_OF_MEMORY) {
            return 0;
        }
        check("cuMemHostAlloc", status);
        return address.address();
    }

    static void freePinned(long address) {
        check("cuMemFreeHost", JCudaDriver.cuMemFreeHost(new HostAddress(address)));
    }

    // ---- mapped memory: address space and what lies behind it apart, so that access can be changed

    /** Device memory under an address of its own. */
    static final class Mapping {
        private final CUmemGenericAllocationHandle memory = new CUmemGenericAllocationHandle();
        private final DeviceAddress address = new DeviceAddress();
        private final long byteSize;
        private final Deque<Runnable> undo = new ArrayDeque<>();

        private Mapping(long byteSize) {
            this.byteSize = byteSize;
        }

        long address() {
            return address.address();
        }

        long byteSize() {
            return byteSize;
        }
    }

    /** What the sizes of mappings are multiples of. */
    static long mappingGranularity(Context context) {
        long[] granularity = new long[1];
        check(
                "cuMemGetAllocationGranularity",
                JCudaDriver.cuMemGetAllocationGranularity(
                        granularity,
                        properties(context),
                        CUmemAllocationGranularity_flags.CU_MEM_ALLOC_GRANULARITY_MINIMUM));
        return granularity[0];
    }

    /** Memory that the device may read and write until {@link #allow} says otherwise, or null where there is not enough. */
    static @Nullable Mapping map(Context context, long bytes) {
        Mapping mapping = new Mapping(bytes);
        int status = JCudaDriver.cuMemCreate(mapping.memory, bytes, properties(context), 0);
        if (status == OUT_OF_MEMORY) {
            return null;
        }
        check("cuMemCreate", status);
        mapping.undo.push(() -> check("cuMemRelease", JCudaDriver.cuMemRelease(mapping.memory)));
        try {
            check(
                    "cuMemAddressReserve",
                    JCudaDriver.cuMemAddressReserve(mapping.address, bytes, 0, new DeviceAddress(0), 0));
            mapping.undo.push(() -> check("cuMemAddressFree", JCudaDriver.cuMemAddressFree(mapping.address, bytes)));
            check("cuMemMap", JCudaDriver.cuMemMap(mapping.address, bytes, 0, mapping.memory, 0));
            mapping.undo.push(() -> check("cuMemUnmap", JCudaDriver.cuMemUnmap(mapping.address, bytes)));
            allow(mapping, context, true);
            return mapping;
        } catch (EngineFailure e) {
            unmap(mapping);
            throw e;
        }
    }

    /** Lets the device read, and with {@code write} also write. */
    static void allow(Mapping mapping, Context context, boolean write) {
        CUmemAccessDesc access = new CUmemAccessDesc(
                location(context),
                write
                        ? CUmemAccess_flags.CU_MEM_ACCESS_FLAGS_PROT_READWRITE
                        : CUmemAccess_flags.CU_MEM_ACCESS_FLAGS_PROT_READ);
        check(
                "cuMemSetAccess",
                JCudaDriver.cuMemSetAccess(mapping.address, mapping.byteSize, new CUmemAccessDesc[] {access}, 1));
    }

    /** Nothing may be under way that reads or writes there. Each step is tried: this memory does not go with the context. */
    static void unmap(Mapping mapping) {
        EngineFailure first = null;
        while (!mapping.undo.isEmpty()) {
            try {
                mapping.undo.pop().run();
            } catch (EngineFailure e) {
                first = first == null ? e : first;
            }
        }
        if (first != null) {
            throw first;
        }
    }

    private static CUmemAllocationProp properties(Context context) {
        CUmemAllocationProp properties = new CUmemAllocationProp();
        properties.type = CUmemAllocationType.CU_MEM_ALLOCATION_TYPE_PINNED;
        properties.location = location(context);
        return properties;
    }

    private static CUmemLocation location(Context context) {
        return new CUmemLocation(CUmemLocationType.CU_MEM_LOCATION_TYPE_DEVICE, context.ordinal);
    }

    // ---- copies; pitches in bytes

    static void copyToDevice(long device, long host, long bytes, Stream stream) {
        check(
                "cuMemcpyHtoDAsync",
                JCudaDriver.cuMemcpyHtoDAsync(new DeviceAddress(device), new HostAddress(host), bytes, stream));
    }

    static void copyToHost(long host, long device, long bytes, Stream stream) {
        check(
                "cuMemcpyDtoHAsync",
                JCudaDriver.cuMemcpyDtoHAsync(new HostAddress(host), new DeviceAddress(device), bytes, stream));
    }

    /** Copies {@code rows} rows of {@code rowBytes} that lie back to back on the host. */
    static void copyRowsToDevice(long device, long pitch, long host, long rowBytes, long rows, Stream stream) {
        CUDA_MEMCPY2D copy = rows(device, pitch, rowBytes, rows);
        copy.dstDevice = copy.srcDevice;
        copy.dstPitch = pitch;
        copy.dstMemoryType = CUmemorytype.CU_MEMORYTYPE_DEVICE;
        copy.srcHost = new HostAddress(host);
        copy.srcPitch = rowBytes;
        copy.srcMemoryType = CUmemorytype.CU_MEMORYTYPE_HOST;
        check("cuMemcpy2DAsync", JCudaDriver.cuMemcpy2DAsync(copy, stream));
    }

    /** The way back of {@link #copyRowsToDevice}. */
    static void copyRowsToHost(long host, long device, long pitch, long rowBytes, long rows, Stream stream) {
        CUDA_MEMCPY2D copy = rows(device, pitch, rowBytes, rows);
        copy.dstHost = new HostAddress(host);
        copy.dstPitch = rowBytes;
        copy.dstMemoryType = CUmemorytype.CU_MEMORYTYPE_HOST;
        check("cuMemcpy2DAsync", JCudaDriver.cuMemcpy2DAsync(copy, stream));
    }

    private static CUDA_MEMCPY2D rows(long device, long pitch, long rowBytes, long rows) {
        CUDA_MEMCPY2D copy = new CUDA_MEMCPY2D();
        copy.srcDevice = new DeviceAddress(device);
        copy.srcPitch = pitch;
        copy.srcMemoryType = CUmemorytype.CU_MEMORYTYPE_DEVICE;
        copy.WidthInBytes = rowBytes;
        copy.Height = rows;
        return copy;
    }

    /** Zeros in {@code rows} rows of {@code rowBytes}. */
    static void zero(long device, long pitch, long rowBytes, long rows, Stream stream) {
        if (rows == 1 || pitch == rowBytes) {
            check(
                    "cuMemsetD8Async",
                    JCudaDriver.cuMemsetD8Async(new DeviceAddress(device), (byte) 0, rowBytes * rows, stream));
        } else {
            check(
                    "cuMemsetD2D8Async",
                    JCudaDriver.cuMemsetD2D8Async(new DeviceAddress(device), pitch, (byte) 0, rowBytes, rows, stream));
        }
    }

    // ---- streams and events

    static Stream createStream() {
        Stream stream = new Stream();
        check("cuStreamCreate", JCudaDriver.cuStreamCreate(stream, CUstream_flags.CU_STREAM_NON_BLOCKING));
        return stream;
    }

    static void destroy(Stream stream) {
        check("cuStreamDestroy", JCudaDriver.cuStreamDestroy(stream));
    }

    /** Waits for all work of the stream; failures of kernels come out here. */
    static void synchronize(Stream stream) {
        check("cuStreamSynchronize", JCudaDriver.cuStreamSynchronize(stream));
    }

    static Event createEvent() {
        Event event = new Event();
        check("cuEventCreate", JCudaDriver.cuEventCreate(event, CUevent_flags.CU_EVENT_DISABLE_TIMING));
        return event;
    }

    /** What is put on {@code stream} from now on waits for what was on the event's stream when it was recorded. */
    static void await(Event event, Stream stream) {
        check("cuStreamWaitEvent", JCudaDriver.cuStreamWaitEvent(stream, event, 0));
    }

    static void record(Event event, Stream stream) {
        check("cuEventRecord", JCudaDriver.cuEventRecord(event, stream));
    }

    static void synchronize(Event event) {
        check("cuEventSynchronize", JCudaDriver.cuEventSynchronize(event));
    }

    static void destroy(Event event) {
        check("cuEventDestroy", JCudaDriver.cuEventDestroy(event));
    }

    // ---- cuBLAS

    /** A cuBLAS context on a stream, with a workspace of its own in device memory. */
    static Blas createBlas(Stream stream, long workspace, long workspaceBytes) {
        Blas blas = new Blas();
        checkBlas("cublasCreate", JCublas2.cublasCreate(blas));
        try {
            checkBlas("cublasSetStream", JCublas2.cublasSetStream(blas, stream(stream)));
            checkBlas(
                    "cublasSetWorkspace",
                    JCublas2.cublasSetWorkspace(blas, new DeviceAddress(workspace), workspaceBytes));
            // by default a product may be cut along k and its parts added up in bf16, where that is the output's type
            checkBlas(
                    "cublasSetMathMode",
                    JCublas2.cublasSetMathMode(
                            blas,
                            cublasMath.CUBLAS_DEFAULT_MATH
                                    | cublasMath.CUBLAS_MATH_DISALLOW_REDUCED_PRECISION_REDUCTION));
        } catch (EngineFailure e) {
            JCublas2.cublasDestroy(blas);
            throw e;
        }
        return blas;
    }

    private static cudaStream_t stream(Stream stream) {
        return new cudaStream_t(stream);
    }

    static void destroy(Blas blas) {
        checkBlas("cublasDestroy", JCublas2.cublasDestroy(blas));
    }

    static int version(Blas blas) {
        int[] version = new int[1];
        checkBlas("cublasGetVersion", JCublas2.cublasGetVersion(blas, version));
        return version[0];
    }

    /**
     * {@code C = op(A) op(B) + beta C} for {@code batch} triples of matrices that lie {@code stride…} elements apart; m, n, k and
     * leading dimensions as cuBLAS counts them. Float32 sums; float32 products are exact but with {@code tf32}.
     */
    static void gemm(
            Blas blas,
            boolean transA,
            boolean transB,
            int m,
            int n,
            int k,
            Operand a,
            Operand b,
            boolean accumulate,
            Operand c,
            int batch,
            boolean tf32) {
        int compute = tf32 ? cublasComputeType.CUBLAS_COMPUTE_32F_FAST_TF32 : cublasComputeType.CUBLAS_COMPUTE_32F;
        int opA = transA ? cublasOperation.CUBLAS_OP_T : cublasOperation.CUBLAS_OP_N;
        int opB = transB ? cublasOperation.CUBLAS_OP_T : cublasOperation.CUBLAS_OP_N;
        Pointer beta = accumulate ? ONE : ZERO;
        if (batch == 1) {
            checkBlas(
                    "cublasGemmEx",
                    JCublas2.cublasGemmEx_new(
                            blas,
                            opA,
                            opB,
                            m,
                            n,
                            k,
                            ONE,
                            new DeviceAddress(a.address),
                            type(a.dtype),
                            a.leading,
                            new DeviceAddress(b.address),
                            type(b.dtype),
                            b.leading,
                            beta,
                            new DeviceAddress(c.address),
                            type(c.dtype),
                            c.leading,
                            compute,
                            cublasGemmAlgo.CUBLAS_GEMM_DEFAULT));
            return;
        }
        checkBlas(
                "cublasGemmStridedBatchedEx",
                JCublas2.cublasGemmStridedBatchedEx_new(
                        blas,
                        opA,
                        opB,
                        m,
                        n,
                        k,
                        ONE,
                        new DeviceAddress(a.address),
                        type(a.dtype),
                        a.leading,
                        a.stride,
                        new DeviceAddress(b.address),
                        type(b.dtype),
                        b.leading,
                        b.stride,
                        beta,
                        new DeviceAddress(c.address),
                        type(c.dtype),
                        c.leading,
                        c.stride,
                        batch,
                        compute,
                        cublasGemmAlgo.CUBLAS_GEMM_DEFAULT));
    }

    /**
     * A matrix of a product.
     *
     * @param leading elements from one column to the next
     * @param stride elements from one matrix of a batch to the next
     */
    record Operand(long address, DType dtype, int leading, long stride) {}

    private static int type(DType dtype) {
        return dtype == DType.BF16 ? cudaDataType.CUDA_R_16BF : cudaDataType.CUDA_R_32F;
    }

    // ---- failures

    private static void check(String call, int status) {
        if (status != CUresult.CUDA_SUCCESS) {
            String[] text = new String[1];
            JCudaDriver.cuGetErrorString(status, text);
            throw new EngineFailure(call + ": " + CUresult.stringFor(status) + (text[0] == null ? "" : ", " + text[0]));
        }
    }

    private static void checkBlas(String call, int status) {
        if (status != cublasStatus.CUBLAS_STATUS_SUCCESS) {
            throw new EngineFailure(call + ": " + cublasStatus.stringFor(status));
        }
    }
}
