package dev.graft.cli.options;

import java.util.Arrays;
import java.util.Locale;
import java.util.stream.Collectors;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.TypeConversionException;

/** What {@code --method} can name. */
enum MethodName {
    LORA,
    ADAPTER,
    FULL;

    /** As typed. */
    String typed() {
        return name().toLowerCase(Locale.ROOT);
    }

    static final class Converter implements ITypeConverter<MethodName> {
        @Override
        public MethodName convert(String text) {
            return Arrays.stream(values())
                    .filter(method -> method.typed().equals(text))
                    .findFirst()
                    .orElseThrow(() -> new TypeConversionException("'" + text + "' is no method; use "
                            + Arrays.stream(values()).map(MethodName::typed).collect(Collectors.joining(" or "))));
        }
    }
}
