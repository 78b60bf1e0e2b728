package dev.graft.cuda.natives;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.graft.cuda.CudaEngine;
import dev.graft.cuda.CudaSettings;
import dev.graft.cuda.Emulation;
import dev.graft.cuda.driver.DeviceSettings;
import dev.graft.cuda.natives.LoraTermArray.Mask;
import dev.graft.cuda.natives.LoraTermArray.Matrix;
import dev.graft.cuda.ops.Gpu;
import dev.graft.engine.AdamW;
import dev.graft.engine.AttentionShape;
import dev.graft.engine.Sequences;
import dev.graft.tensor.DType;
import dev.graft.tensor.Tensor;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.lang.invoke.MethodHandle;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.MethodType;
import java.lang.reflect.Field;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.Test;

/** The Java side of {@code native/include/graft_cuda.h} against the header itself. */
class KernelLibraryTest {
    private static final CHeader HEADER = CHeader.read();

    private static SymbolLookup library() throws IOException {
        Emulation.control();
        CudaLibraries.load(CudaPlatform.EMULATED); // also the driver, which the kernels ask for by name
        return SymbolLookup.libraryLookup(NativeFiles.file(CudaPlatform.EMULATED, NativeFiles.KERNELS), Arena.global());
    }

    // ---- functions

    @Test
    void everyFunctionOfTheHeaderIsBoundAndNoOther() throws IOException {
        SymbolLookup library = library();
        List<String> bound = new ArrayList<>();
        new KernelLibrary(name -> {
            bound.add(name);
            return library.find(name);
        });
        assertThat(bound).doesNotHaveDuplicates().hasSizeGreaterThan(20);
        assertThat(bound).containsExactlyInAnyOrderElementsOf(HEADER.functions().keySet());
    }

    @Test
    void everyFunctionIsCalledWithThePrototypesTypes() throws ReflectiveOperationException, IOException {
        KernelLibrary kernels = new KernelLibrary(library());
        for (Map.Entry<String, CHeader.Function> function : HEADER.functions().entrySet()) {
            Field field = KernelLibrary.class.getDeclaredField(camelCase(function.getKey()));
            field.setAccessible(true);
            MethodType type = ((MethodHandle) field.get(kernels)).type();
            List<Class<?>> expected = new ArrayList<>();
            function.getValue().parameters().forEach(parameter -> expected.add(javaType(parameter)));
            assertThat(type.parameterList()).as(function.getKey()).isEqualTo(expected);
            assertThat(type.returnType())
                    .as(function.getKey())
                    .isEqualTo(function.getKey().equals("graft_last_error") ? MemorySegment.class : int.class);
            if (!expected.isEmpty()) {
                assertThat(KernelLibrary.class.getDeclaredMethod(
                                camelCase(function.getKey()), expected.toArray(Class<?>[]::new)))
                        .isNotNull();
            }
        }
    }

    /** graft_rms_norm_forward: rmsNormForward. */
    private static String camelCase(String name) {
        StringBuilder camel = new StringBuilder();
        for (String word : name.substring("graft_".length()).split("_")) {
            camel.append(camel.isEmpty() ? word : word.substring(0, 1).toUpperCase(Locale.ROOT) + word.substring(1));
        }
        return camel.toString();
    }

    private static Class<?> javaType(String type) {
        return switch (type) {
            case "int32_t" -> int.class;
            case "int64_t", "pointer" -> long.class;
            case "float" -> float.class;
            default -> {
                assertThat(type).as("a struct").matches("graft_\\w+\\*");
                yield MemorySegment.class;
            }
        };
    }

    @Test
    void constantsAreTheHeaders() {
        assertThat(KernelLibrary.ABI_VERSION).isEqualTo(HEADER.constant("GRAFT_ABI_VERSION"));
        assertThat(KernelLibrary.SCRATCH_TOO_SMALL).isEqualTo(HEADER.constant("GRAFT_SCRATCH_TOO_SMALL"));
        assertThat(LoraTermArray.CAPACITY).isEqualTo(HEADER.constant("GRAFT_MAX_TERMS"));
        for (DType dtype : new DType[] {DType.F32, DType.BF16, DType.F16}) {
            assertThat(Gpu.code(dtype)).isEqualTo(HEADER.constant("GRAFT_" + dtype));
        }
        assertThat(HEADER.constant("GRAFT_OK")).isZero();
    }

    @Test
    void aLibraryOfAnotherVersionIsRefused() throws ReflectiveOperationException, IOException {
        SymbolLookup library = library();
        MethodHandle version = MethodHandles.constant(int.class, 99);
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment other = Linker.nativeLinker().upcallStub(version, FunctionDescriptor.of(JAVA_INT), arena);
            SymbolLookup newer = name -> name.equals("graft_abi_version") ? Optional.of(other) : library.find(name);
            assertThatThrownBy(() -> new KernelLibrary(newer))
                    .isInstanceOf(IllegalStateException.class)
                    .message()
                    .contains("ABI version 99", "scripts/build-native")
                    .doesNotContain("\n");
        }
    }

    // ---- structs: fields are read back where the header has them

    @Test
    void termsAreLaidOutAsTheHeaderSays() {
        CHeader.Struct struct = HEADER.struct("graft_lora_term");
        try (Arena arena = Arena.ofConfined()) {
            LoraTermArray terms = new LoraTermArray(arena);
            Map<String, Number> expected = new LinkedHashMap<>();
            List<String> matrices =
                    List.of("a", "b", "hidden", "hidden_gradient", "border", "a_gradient", "b_gradient");
            for (int i = 0; i < matrices.size(); i++) {
                expected.put(matrices.get(i), 1001L + i);
                expected.put(matrices.get(i) + "_pitch", 2001L + i);
            }
            expected.put("from_row", 3L);
            expected.put("to_row", 5L);
            expected.put("dropout_seed", -7L);
            expected.put("dropout_step", 11);
            expected.put("dropout_stream", 13);
            expected.put("dropout_threshold", 17);
            expected.put("dropout_scale", 1.25f);
            expected.put("scale", 0.5f);
            expected.put("rank", 19);
            Matrix[] m = matrices.stream()
                    .map(name -> new Matrix(
                            expected.get(name).longValue(),
                            expected.get(name + "_pitch").longValue()))
                    .toArray(Matrix[]::new);
            for (int i = 0; i < 2; i++) {
                terms.add(m[0], m[1], m[2], m[3], m[4], m[5], m[6], 3, 5, new Mask(-7, 11, 13, 17, 1.25f), 0.5f, 19);
            }
            assertThat(terms.segment().byteSize()).isEqualTo(LoraTermArray.CAPACITY * struct.byteSize());
            for (long start : new long[] {0, struct.byteSize()}) {
                assertThat(read(struct, terms.segment().asSlice(start, struct.byteSize())))
                        .isEqualTo(expected);
            }
        }
    }

    /** What the engine's last attention and AdamW wrote, all fields different. */
    @Test
    void structsOfAttentionAndAdamWAreLaidOutAsTheHeaderSays() throws ReflectiveOperationException, IOException {
        library();
        CudaSettings settings = new CudaSettings(0, 0, false, false, DeviceSettings.forEmulator());
        try (CudaEngine engine = new CudaEngine(CudaPlatform.EMULATED, settings)) {
            Tensor x = Tensor.of(engine.allocate(4 * 12 * 30), 0, DType.F32, 12, 30);
            Tensor o = Tensor.of(engine.allocate(4 * 12 * 30), 0, DType.F32, 12, 30);
            Tensor row = x.rows(0, 1);
            AttentionShape shape = new AttentionShape(6, 2, 5, 0.75f, 4);
            Sequences sequences =
                    new Sequences(new int[] {0, 3, 6}, new int[] {3, 1, 2}, new int[3], new int[] {7, 8, 9});
            engine.attentionForward(shape, sequences, x, x.columns(0, 10), x.columns(10, 20), o, x.columns(24, 30));
            Map<String, Number> attention =
                    read(HEADER.struct("graft_attention"), struct(privateField(engine, "attention")));
            assertThat(attention.remove("sequences")).as("an address").isNotEqualTo(0L);
            assertThat(attention)
                    .containsExactly(
                            Map.entry("heads", 6),
                            Map.entry("key_value_heads", 2),
                            Map.entry("head_dim", 5),
                            Map.entry("window", 4),
                            Map.entry("scale", 0.75f),
                            Map.entry("sequence_count", 3),
                            Map.entry("longest_query", 3),
                            Map.entry("longest_key", 9),
                            Map.entry("tensor_cores", 0));

            engine.adamW(
                    new AdamW(0.5, 0.75, 0.875, 1e-3, 0.25, 2, 3),
                    row,
                    row,
                    row,
                    row,
                    x.rows(0, 1).columns(0, 1));
            assertThat(read(HEADER.struct("graft_adam_w"), struct(privateField(engine, "optimizer"))))
                    .containsExactly(
                            Map.entry("decay", 1 - 0.5f * 0.25f),
                            Map.entry("beta1", 0.75f),
                            Map.entry("beta2", 0.875f),
                            Map.entry("one_minus_beta1", 0.25f),
                            Map.entry("one_minus_beta2", 0.125f),
                            Map.entry("step_size", (float) (0.5 / (1 - 0.75 * 0.75))),
                            Map.entry("correction2", (float) (1 / Math.sqrt(1 - 0.875 * 0.875))),
                            Map.entry("epsilon", 1e-3f),
                            Map.entry("clip_norm", 3f));
        }
    }

    private static MemorySegment struct(Object operation) throws ReflectiveOperationException {
        return (MemorySegment) privateField(operation, "struct");
    }

    private static Object privateField(Object object, String name) throws ReflectiveOperationException {
        Field field = object.getClass().getDeclaredField(name);
        field.setAccessible(true);
        return field.get(object);
    }

    private static Map<String, Number> read(CHeader.Struct struct, MemorySegment bytes) {
        assertThat(bytes.byteSize()).isEqualTo(struct.byteSize());
        Map<String, Number> values = new LinkedHashMap<>();
        struct.fields()
                .forEach((name, field) -> values.put(
                        name,
                        switch (field.type()) {
                            case "int32_t" -> bytes.get(JAVA_INT, field.offset());
                            case "float" -> bytes.get(JAVA_FLOAT, field.offset());
                            default -> bytes.get(JAVA_LONG, field.offset());
                        }));
        return values;
    }
}
