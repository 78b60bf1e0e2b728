package dev.graft.cpu.onednn;

import static dev.graft.cpu.onednn.Downcalls.check;
import static dev.graft.cpu.onednn.Downcalls.create;
import static dev.graft.cpu.onednn.Downcalls.handle;
import static dev.graft.cpu.onednn.Downcalls.intSetter;
import static dev.graft.cpu.onednn.Downcalls.onHandle;
import static dev.graft.cpu.onednn.Downcalls.set;
import static dev.graft.cpu.onednn.Downcalls.shortHandle;
import static dev.graft.cpu.onednn.Downcalls.unexpected;
import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandle;

/**
 * The functions of oneDNN 3 (dnnl.h) and OpenMP that Graft uses, one method each, with the C prototype above its handle. Objects
 * of the library are opaque pointers, here plain {@code long}s. Every status but success becomes a {@link OneDnnException}.
 *
 * <p>{@link OneDnnLibrary#load} must have succeeded before this class is first touched.
 */
final class OneDnnApi {
    static final int CPU = 1; // dnnl_cpu
    static final int F32 = 3; // dnnl_f32
    static final int BF16 = 2; // dnnl_bf16
    static final int ARG_SRC = 1;
    static final int ARG_WEIGHTS = 33;
    static final int ARG_BIAS = 41;
    static final int ARG_DST = 17;
    static final int ARG_SCRATCHPAD = 80;
    static final int ARG_POST_OP_0_SRC_1 = 32768 | 2; // DNNL_ARG_ATTR_MULTIPLE_POST_OP(0) | DNNL_ARG_SRC_1
    static final int ISA_AVX2_VNNI_2 = 0x1f; // the first AVX2 with bf16 products
    static final int ISA_AVX512_BF16 = 0xe7;
    static final int ISA_AVX512_AMX = 0xfef;

    private static final int STREAM_IN_ORDER = 1;
    private static final int FPMATH_STRICT = 0;
    private static final int SCRATCHPAD_USER = 1;
    private static final int BINARY_ADD = 0x1fff0;
    private static final int QUERY_IMPLEMENTATION_NAME = 8; // dnnl_query_impl_info_str
    private static final int QUERY_SCRATCHPAD = 136; // dnnl_query_scratchpad_md

    // const dnnl_version_t *dnnl_version(void)
    private static final MethodHandle VERSION = handle("dnnl_version", FunctionDescriptor.of(JAVA_LONG));

    // dnnl_cpu_isa_t dnnl_get_effective_cpu_isa(void)
    private static final MethodHandle EFFECTIVE_CPU_ISA =
            handle("dnnl_get_effective_cpu_isa", FunctionDescriptor.of(JAVA_INT));

    // dnnl_status_t dnnl_engine_create(dnnl_engine_t *engine, dnnl_engine_kind_t kind, size_t index)
    private static final MethodHandle ENGINE_CREATE =
            handle("dnnl_engine_create", FunctionDescriptor.of(JAVA_INT, ADDRESS, JAVA_INT, JAVA_LONG));

    // dnnl_status_t dnnl_engine_destroy(dnnl_engine_t engine)
    private static final MethodHandle ENGINE_DESTROY = onHandle("dnnl_engine_destroy");

    // dnnl_status_t dnnl_stream_create(dnnl_stream_t *stream, dnnl_engine_t engine, unsigned flags)
    private static final MethodHandle STREAM_CREATE =
            handle("dnnl_stream_create", FunctionDescriptor.of(JAVA_INT, ADDRESS, JAVA_LONG, JAVA_INT));

    // dnnl_status_t dnnl_stream_destroy(dnnl_stream_t stream)
    private static final MethodHandle STREAM_DESTROY = onHandle("dnnl_stream_destroy");

    // dnnl_status_t dnnl_memory_desc_create_with_strides(dnnl_memory_desc_t *memory_desc, int ndims,
    //     const dnnl_dims_t dims, dnnl_data_type_t data_type, const dnnl_dims_t strides)
    private static final MethodHandle MEMORY_DESC_CREATE = handle(
            "dnnl_memory_desc_create_with_strides",
            FunctionDescriptor.of(JAVA_INT, ADDRESS, JAVA_INT, ADDRESS, JAVA_INT, ADDRESS));

    // dnnl_status_t dnnl_memory_desc_destroy(dnnl_memory_desc_t memory_desc)
    private static final MethodHandle MEMORY_DESC_DESTROY = onHandle("dnnl_memory_desc_destroy");

    // size_t dnnl_memory_desc_get_size(const_dnnl_memory_desc_t memory_desc)
    private static final MethodHandle MEMORY_DESC_SIZE =
            handle("dnnl_memory_desc_get_size", FunctionDescriptor.of(JAVA_LONG, JAVA_LONG));

    // dnnl_status_t dnnl_memory_create(dnnl_memory_t *memory, const_dnnl_memory_desc_t memory_desc,
    //     dnnl_engine_t engine, void *handle)
    private static final MethodHandle MEMORY_CREATE =
            handle("dnnl_memory_create", FunctionDescriptor.of(JAVA_INT, ADDRESS, JAVA_LONG, JAVA_LONG, JAVA_LONG));

    // dnnl_status_t dnnl_memory_set_data_handle(dnnl_memory_t memory, void *handle)
    private static final MethodHandle MEMORY_SET_DATA_HANDLE =
            shortHandle("dnnl_memory_set_data_handle", FunctionDescriptor.of(JAVA_INT, JAVA_LONG, JAVA_LONG));

    // dnnl_status_t dnnl_memory_destroy(dnnl_memory_t memory)
    private static final MethodHandle MEMORY_DESTROY = onHandle("dnnl_memory_destroy");

    // dnnl_status_t dnnl_primitive_attr_create(dnnl_primitive_attr_t *attr)
    private static final MethodHandle ATTR_CREATE =
            handle("dnnl_primitive_attr_create", FunctionDescriptor.of(JAVA_INT, ADDRESS));

    // dnnl_status_t dnnl_primitive_attr_set_fpmath_mode(dnnl_primitive_attr_t attr, dnnl_fpmath_mode_t mode)
    private static final MethodHandle ATTR_SET_FPMATH_MODE = intSetter("dnnl_primitive_attr_set_fpmath_mode");

    // dnnl_status_t dnnl_primitive_attr_set_deterministic(dnnl_primitive_attr_t attr, int value)
    private static final MethodHandle ATTR_SET_DETERMINISTIC = intSetter("dnnl_primitive_attr_set_deterministic");

    // dnnl_status_t dnnl_primitive_attr_set_scratchpad_mode(dnnl_primitive_attr_t attr, dnnl_scratchpad_mode_t mode)
    private static final MethodHandle ATTR_SET_SCRATCHPAD_MODE = intSetter("dnnl_primitive_attr_set_scratchpad_mode");

    // dnnl_status_t dnnl_primitive_attr_set_post_ops(dnnl_primitive_attr_t attr, const_dnnl_post_ops_t post_ops)
    private static final MethodHandle ATTR_SET_POST_OPS =
            handle("dnnl_primitive_attr_set_post_ops", FunctionDescriptor.of(JAVA_INT, JAVA_LONG, JAVA_LONG));

    // dnnl_status_t dnnl_primitive_attr_destroy(dnnl_primitive_attr_t attr)
    private static final MethodHandle ATTR_DESTROY = onHandle("dnnl_primitive_attr_destroy");

    // dnnl_status_t dnnl_post_ops_create(dnnl_post_ops_t *post_ops)
    private static final MethodHandle POST_OPS_CREATE =
            handle("dnnl_post_ops_create", FunctionDescriptor.of(JAVA_INT, ADDRESS));

    // dnnl_status_t dnnl_post_ops_append_sum(dnnl_post_ops_t post_ops, float scale, int32_t zero_point,
    //     dnnl_data_type_t data_type)
    private static final MethodHandle POST_OPS_APPEND_SUM = handle(
            "dnnl_post_ops_append_sum", FunctionDescriptor.of(JAVA_INT, JAVA_LONG, JAVA_FLOAT, JAVA_INT, JAVA_INT));

    // dnnl_status_t dnnl_post_ops_append_binary(dnnl_post_ops_t post_ops, dnnl_alg_kind_t alg_kind,
    //     const_dnnl_memory_desc_t src1_desc)
    private static final MethodHandle POST_OPS_APPEND_BINARY =
            handle("dnnl_post_ops_append_binary", FunctionDescriptor.of(JAVA_INT, JAVA_LONG, JAVA_INT, JAVA_LONG));

    // dnnl_status_t dnnl_post_ops_destroy(dnnl_post_ops_t post_ops)
    private static final MethodHandle POST_OPS_DESTROY = onHandle("dnnl_post_ops_destroy");

    // dnnl_status_t dnnl_matmul_primitive_desc_create(dnnl_primitive_desc_t *primitive_desc, dnnl_engine_t engine,
    //     const_dnnl_memory_desc_t src_desc, const_dnnl_memory_desc_t weights_desc, const_dnnl_memory_desc_t bias_desc,
    //     const_dnnl_memory_desc_t dst_desc, const_dnnl_primitive_attr_t attr)
    private static final MethodHandle MATMUL_DESC_CREATE = handle(
            "dnnl_matmul_primitive_desc_create",
            FunctionDescriptor.of(JAVA_INT, ADDRESS, JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG));

    // const_dnnl_memory_desc_t dnnl_primitive_desc_query_md(const_dnnl_primitive_desc_t primitive_desc,
    //     dnnl_query_t what, int index)
    private static final MethodHandle PRIMITIVE_DESC_QUERY_MD =
            handle("dnnl_primitive_desc_query_md", FunctionDescriptor.of(JAVA_LONG, JAVA_LONG, JAVA_INT, JAVA_INT));

    // dnnl_status_t dnnl_primitive_desc_query(const_dnnl_primitive_desc_t primitive_desc, dnnl_query_t what, int index,
    //     void *result)
    private static final MethodHandle PRIMITIVE_DESC_QUERY = handle(
            "dnnl_primitive_desc_query", FunctionDescriptor.of(JAVA_INT, JAVA_LONG, JAVA_INT, JAVA_INT, ADDRESS));

    // dnnl_status_t dnnl_primitive_desc_destroy(dnnl_primitive_desc_t primitive_desc)
    private static final MethodHandle PRIMITIVE_DESC_DESTROY = onHandle("dnnl_primitive_desc_destroy");

    // dnnl_status_t dnnl_primitive_create(dnnl_primitive_t *primitive, const_dnnl_primitive_desc_t primitive_desc)
    private static final MethodHandle PRIMITIVE_CREATE =
            handle("dnnl_primitive_create", FunctionDescriptor.of(JAVA_INT, ADDRESS, JAVA_LONG));

    // dnnl_status_t dnnl_primitive_execute(const_dnnl_primitive_t primitive, dnnl_stream_t stream, int nargs,
    //     const dnnl_exec_arg_t *args)
    private static final MethodHandle PRIMITIVE_EXECUTE = handle(
            "dnnl_primitive_execute", FunctionDescriptor.of(JAVA_INT, JAVA_LONG, JAVA_LONG, JAVA_INT, JAVA_LONG));

    // dnnl_status_t dnnl_primitive_destroy(dnnl_primitive_t primitive)
    private static final MethodHandle PRIMITIVE_DESTROY = onHandle("dnnl_primitive_destroy");

    // void omp_set_num_threads(int num_threads)
    private static final MethodHandle OMP_SET_NUM_THREADS =
            shortHandle("omp_set_num_threads", FunctionDescriptor.ofVoid(JAVA_INT));

    private OneDnnApi() {}

    /** For instance {@code 3.13.0}. */
    static String version() {
        long version;
        try {
            version = (long) VERSION.invokeExact();
        } catch (Throwable thrown) {
            throw unexpected(thrown);
        }
        MemorySegment fields = MemorySegment.ofAddress(version).reinterpret(3L * Integer.BYTES);
        return fields.getAtIndex(JAVA_INT, 0)
                + "." + fields.getAtIndex(JAVA_INT, 1)
                + "." + fields.getAtIndex(JAVA_INT, 2);
    }

    static int effectiveCpuIsa() {
        try {
            return (int) EFFECTIVE_CPU_ISA.invokeExact();
        } catch (Throwable thrown) {
            throw unexpected(thrown);
        }
    }

    static long createCpuEngine() {
        return create("dnnl_engine_create", out -> (int) ENGINE_CREATE.invokeExact(out, CPU, 0L));
    }

    static void destroyEngine(long engine) {
        Downcalls.destroy("dnnl_engine_destroy", ENGINE_DESTROY, engine);
    }

    static long createStream(long engine) {
        return create("dnnl_stream_create", out -> (int) STREAM_CREATE.invokeExact(out, engine, STREAM_IN_ORDER));
    }

    static void destroyStream(long stream) {
        Downcalls.destroy("dnnl_stream_destroy", STREAM_DESTROY, stream);
    }

    /** A matrix of {@code rows} × {@code cols} whose neighbours lie so many elements apart. */
    static long createMatrixDesc(long rows, long cols, int dataType, long rowStride, long colStride) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment dims = arena.allocateFrom(JAVA_LONG, rows, cols);
            MemorySegment strides = arena.allocateFrom(JAVA_LONG, rowStride, colStride);
            return create("dnnl_memory_desc_create_with_strides", out ->
                    (int) MEMORY_DESC_CREATE.invokeExact(out, 2, dims, dataType, strides));
        }
    }

    static void destroyMemoryDesc(long desc) {
        Downcalls.destroy("dnnl_memory_desc_destroy", MEMORY_DESC_DESTROY, desc);
    }

    static long memoryDescSize(long desc) {
        try {
            return (long) MEMORY_DESC_SIZE.invokeExact(desc);
        } catch (Throwable thrown) {
            throw unexpected(thrown);
        }
    }

    /** A memory object without memory; {@link #setDataHandle} gives it some. */
    static long createMemory(long engine, long desc) {
        return create("dnnl_memory_create", out -> (int) MEMORY_CREATE.invokeExact(out, desc, engine, 0L));
    }

    static void setDataHandle(long memory, long address) {
        int status;
        try {
            status = (int) MEMORY_SET_DATA_HANDLE.invokeExact(memory, address);
        } catch (Throwable thrown) {
            throw unexpected(thrown);
        }
        check("dnnl_memory_set_data_handle", status);
    }

    static void destroyMemory(long memory) {
        Downcalls.destroy("dnnl_memory_destroy", MEMORY_DESTROY, memory);
    }

    /** Attributes under which f32 stays f32, results do not vary from run to run, and the caller brings the scratchpad. */
    static long createStrictAttr() {
        long attr = create("dnnl_primitive_attr_create", out -> (int) ATTR_CREATE.invokeExact(out));
        set("dnnl_primitive_attr_set_fpmath_mode", ATTR_SET_FPMATH_MODE, attr, FPMATH_STRICT);
        set("dnnl_primitive_attr_set_deterministic", ATTR_SET_DETERMINISTIC, attr, 1);
        set("dnnl_primitive_attr_set_scratchpad_mode", ATTR_SET_SCRATCHPAD_MODE, attr, SCRATCHPAD_USER);
        return attr;
    }

    static void setPostOps(long attr, long postOps) {
        int status;
        try {
            status = (int) ATTR_SET_POST_OPS.invokeExact(attr, postOps);
        } catch (Throwable thrown) {
            throw unexpected(thrown);
        }
        check("dnnl_primitive_attr_set_post_ops", status);
    }

    static void destroyAttr(long attr) {
        Downcalls.destroy("dnnl_primitive_attr_destroy", ATTR_DESTROY, attr);
    }

    static long createPostOps() {
        return create("dnnl_post_ops_create", out -> (int) POST_OPS_CREATE.invokeExact(out));
    }

    /** result += what the destination holds. */
    static void appendSum(long postOps) {
        int status;
        try {
            status = (int) POST_OPS_APPEND_SUM.invokeExact(postOps, 1.0f, 0, 0);
        } catch (Throwable thrown) {
            throw unexpected(thrown);
        }
        check("dnnl_post_ops_append_sum", status);
    }

    /** result += another matrix, described by {@code desc}. */
    static void appendBinaryAdd(long postOps, long desc) {
        int status;
        try {
            status = (int) POST_OPS_APPEND_BINARY.invokeExact(postOps, BINARY_ADD, desc);
        } catch (Throwable thrown) {
            throw unexpected(thrown);
        }
        check("dnnl_post_ops_append_binary", status);
    }

    static void destroyPostOps(long postOps) {
        Downcalls.destroy("dnnl_post_ops_destroy", POST_OPS_DESTROY, postOps);
    }

    /** dst = src · weights + bias; {@code bias} may be 0 for none. */
    static long createMatMulDesc(long engine, long src, long weights, long bias, long dst, long attr) {
        return create("dnnl_matmul_primitive_desc_create", out ->
                (int) MATMUL_DESC_CREATE.invokeExact(out, engine, src, weights, bias, dst, attr));
    }

    /** The description of the scratchpad; belongs to {@code primitiveDesc}. */
    static long scratchpadDesc(long primitiveDesc) {
        try {
            return (long) PRIMITIVE_DESC_QUERY_MD.invokeExact(primitiveDesc, QUERY_SCRATCHPAD, 0);
        } catch (Throwable thrown) {
            throw unexpected(thrown);
        }
    }

    /** Which implementation oneDNN chose, for instance {@code brg_matmul:avx512_core}. */
    static String implementationName(long primitiveDesc) {
        long name = create("dnnl_primitive_desc_query", out ->
                (int) PRIMITIVE_DESC_QUERY.invokeExact(primitiveDesc, QUERY_IMPLEMENTATION_NAME, 0, out));
        return MemorySegment.ofAddress(name).reinterpret(256).getString(0);
    }

    static void destroyPrimitiveDesc(long primitiveDesc) {
        Downcalls.destroy("dnnl_primitive_desc_destroy", PRIMITIVE_DESC_DESTROY, primitiveDesc);
    }

    static long createPrimitive(long primitiveDesc) {
        return create("dnnl_primitive_create", out -> (int) PRIMITIVE_CREATE.invokeExact(out, primitiveDesc));
    }

    /** @param args address of {@code count} {@code dnnl_exec_arg_t}s */
    static void execute(long primitive, long stream, int count, long args) {
        int status;
        try {
            status = (int) PRIMITIVE_EXECUTE.invokeExact(primitive, stream, count, args);
        } catch (Throwable thrown) {
            throw unexpected(thrown);
        }
        check("dnnl_primitive_execute", status);
    }

    static void destroyPrimitive(long primitive) {
        Downcalls.destroy("dnnl_primitive_destroy", PRIMITIVE_DESTROY, primitive);
    }

    /** How many threads OpenMP uses in parallel regions that the calling thread starts. */
    static void setOpenMpThreads(int threads) {
        try {
            OMP_SET_NUM_THREADS.invokeExact(threads);
        } catch (Throwable thrown) {
            throw unexpected(thrown);
        }
    }
}
