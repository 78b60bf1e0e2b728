package dev.graft.cuda.natives;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.regex.MatchResult;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** What {@code native/include/graft_cuda.h} declares: as much of C as that header uses. */
final class CHeader {
    private static final Pattern COMMENT = Pattern.compile("/\\*.*?\\*/", Pattern.DOTALL);
    private static final Pattern FUNCTION = Pattern.compile("GRAFT_API\\s+([^;(]*?)(graft_\\w+)\\(([^)]*)\\)\\s*;");
    private static final Pattern STRUCT = Pattern.compile("typedef struct (\\w+) \\{(.*?)\\}", Pattern.DOTALL);
    private static final Pattern MACRO = Pattern.compile("#define (GRAFT_\\w+) (\\d+)");
    private static final Pattern ENUMERATOR = Pattern.compile("(GRAFT_\\w+) = (\\d+)");

    /** A field, and where a C compiler puts it: on the next multiple of its size. */
    record Field(String type, long offset) {}

    /** @param byteSize with the padding at its end */
    record Struct(Map<String, Field> fields, long byteSize) {
        long offset(String field) {
            return fields.get(field).offset();
        }
    }

    /** A type of a result or parameter: {@code int32_t}, {@code float}, {@code pointer}, {@code graft_attention*}. */
    record Function(String result, List<String> parameters) {}

    private final String text;

    private CHeader(String text) {
        this.text = text;
    }

    /** Tests run in the module's folder. */
    static CHeader read() {
        try {
            String text = Files.readString(Path.of("../../native/include/graft_cuda.h"));
            return new CHeader(COMMENT.matcher(text).replaceAll(""));
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** Functions by name, in the header's order. */
    Map<String, Function> functions() {
        Map<String, Function> functions = new LinkedHashMap<>();
        Matcher matcher = FUNCTION.matcher(text);
        while (matcher.find()) {
            String list = matcher.group(3).strip();
            List<String> parameters = list.equals("void")
                    ? List.of()
                    : Arrays.stream(list.split(",")).map(CHeader::parameterType).toList();
            functions.put(matcher.group(2), new Function(type(matcher.group(1)), parameters));
        }
        return functions;
    }

    private static String parameterType(String declaration) {
        return type(declaration.strip().replaceFirst("\\w+$", ""));
    }

    private static String type(String text) {
        String bare = text.replace("const", "").replaceAll("\\s+", "");
        return bare.endsWith("*") && !bare.startsWith("graft_") ? "pointer" : bare;
    }

    Struct struct(String name) {
        MatchResult struct = STRUCT.matcher(text)
                .results()
                .filter(match -> match.group(1).equals(name))
                .findFirst()
                .orElseThrow();
        Map<String, Field> fields = new LinkedHashMap<>();
        long at = 0;
        long alignment = 1;
        for (String statement : statements(struct.group(2))) {
            int end = Math.max(statement.indexOf(' '), statement.lastIndexOf('*') + 1);
            String type = type(
                    statement.contains("*")
                            ? statement.substring(0, end)
                            : statement.substring(0, statement.indexOf(' ')));
            long size = size(type);
            for (String field : statement
                    .substring(statement.contains("*") ? end : statement.indexOf(' '))
                    .split(",")) {
                at = Math.ceilDiv(at, size) * size;
                fields.put(field.strip(), new Field(type, at));
                at += size;
                alignment = Math.max(alignment, size);
            }
        }
        return new Struct(fields, Math.ceilDiv(at, alignment) * alignment);
    }

    private static List<String> statements(String body) {
        List<String> statements = new ArrayList<>();
        for (String statement : body.split(";")) {
            if (!statement.isBlank()) {
                statements.add(statement.strip());
            }
        }
        return statements;
    }

    private static long size(String type) {
        return switch (type) {
            case "int32_t", "float" -> 4;
            case "int64_t", "pointer" -> 8;
            default -> throw new IllegalArgumentException("no size is known for the type " + type);
        };
    }

    int constant(String name) {
        for (Pattern pattern : List.of(MACRO, ENUMERATOR)) {
            Matcher matcher = pattern.matcher(text);
            while (matcher.find()) {
                if (matcher.group(1).equals(name)) {
                    return Integer.parseInt(matcher.group(2));
                }
            }
        }
        throw new IllegalArgumentException("no constant " + name);
    }
}
