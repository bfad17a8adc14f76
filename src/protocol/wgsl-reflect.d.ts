// The package's `main` cannot be imported as a module under Node; this file of it can, everywhere, and lacks only types.
declare module 'wgsl_reflect/wgsl_reflect.module.js' {
  export { WgslReflect, ResourceType, VariableInfo, FunctionInfo } from 'wgsl_reflect';
}
