package dev.graft.cli.options;

import dev.graft.engine.Precision;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.Option;
import picocli.CommandLine.TypeConversionException;

/** How frozen weights and activations are computed. */
public final class PrecisionOption {
    @Option(
            names = "--precision",
            paramLabel = "bf16|f32",
            defaultValue = "bf16",
            converter = Converter.class,
            description = "How frozen weights and activations are computed (default: bf16). "
                    + "A, B, their gradients and AdamW are always float32.")
    private Precision precision = Precision.BF16;

    public Precision value() {
        return precision;
    }

    static final class Converter implements ITypeConverter<Precision> {
        @Override
        public Precision convert(String text) {
            return switch (text) {
                case "bf16" -> Precision.BF16;
                case "f32" -> Precision.F32;
                default -> throw new TypeConversionException("'" + text + "' is no precision; use bf16 or f32");
            };
        }
    }
}
